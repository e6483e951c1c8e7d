"""The window: panels side by side, messages above, progress below. It wires nothing; `toolbox.app` does."""

from pathlib import Path

from PyQt5.QtCore import QByteArray, QSize, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QGuiApplication
from PyQt5.QtWidgets import QFrame, QLabel, QMainWindow, QSplitter, QVBoxLayout, QWidget

from core.types import mean_embedding
from toolbox.theme import Theme
from toolbox.widgets.embedding_view import EmbeddingView
from toolbox.widgets.job_strip import JobStrip
from toolbox.widgets.menus import Menus
from toolbox.widgets.models_panel import ModelsPanel
from toolbox.widgets.notice_strip import NoticeStrip
from toolbox.widgets.parts import MARGIN
from toolbox.widgets.projection_view import ProjectionView
from toolbox.widgets.record_panel import RecordPanel
from toolbox.widgets.speak_panel import SpeakPanel
from toolbox.widgets.spectrogram_view import SpectrogramView
from toolbox.widgets.takes_panel import TakesPanel
from toolbox.widgets.voice_panel import VoicePanel
from toolbox.workspace import Workspace


def framed(view: QWidget) -> QFrame:
    """A card around a view, which paints its own title."""
    card = QFrame()
    card.setObjectName("card")
    box = QVBoxLayout(card)
    box.setContentsMargins(6, 4, 6, 6)
    box.addWidget(view)
    return card


class MainWindow(QMainWindow):
    """Left: voices come in. Middle: they are seen. Right: they speak."""

    painted = pyqtSignal()  # once, when the window is first seen
    closing = pyqtSignal()
    files_dropped = pyqtSignal(list)  # of Path
    play_or_stop_wanted = pyqtSignal()
    activated = pyqtSignal()  # the person came back to this window

    def __init__(self, workspace: Workspace, theme: Theme, parent: QWidget | None = None):
        super().__init__(parent)
        self._workspace, self.theme = workspace, theme
        self._was_painted = False
        self.setWindowTitle("Voice Cloning Toolbox")
        self.setAcceptDrops(True)
        self.setMinimumSize(1100, 680)
        self.resize(first_size(QGuiApplication.primaryScreen().availableGeometry().size()))
        self.record = RecordPanel(theme)
        self.voices = VoicePanel(workspace, theme)
        self.models = ModelsPanel(workspace, theme)
        self.map = ProjectionView(workspace)
        self.spectrogram = SpectrogramView()
        self.embedding = EmbeddingView()
        self.speak = SpeakPanel(workspace, theme)
        self.takes = TakesPanel(workspace, theme)
        self.notices = NoticeStrip(theme)
        self.jobs = JobStrip(theme)
        self._lay_out()
        self.menus = Menus(self)
        self._veil = QFrame(self)
        self._veil.setObjectName("drop_veil")
        column = QVBoxLayout(self._veil)
        column.addWidget(QLabel("Drop sound files to load them", alignment=Qt.AlignCenter))
        self._veil.hide()
        workspace.shown_changed.connect(self.on_shown_changed)
        workspace.utterance_changed.connect(self._on_changed)
        workspace.utterance_added.connect(self._on_changed)
        workspace.take_changed.connect(self._on_changed)
        theme.changed.connect(self.on_theme_changed)
        self.on_theme_changed(bool(theme.dark))

    def _lay_out(self) -> None:
        left = self._column(self.record, self.voices, self.models)
        left.layout().setStretch(1, 1)
        self._lower = self._splitter(Qt.Horizontal, framed(self.spectrogram), framed(self.embedding), stretch=(5, 2))
        self._middle = self._splitter(Qt.Vertical, framed(self.map), self._lower, stretch=(3, 2))
        self._right = self._splitter(Qt.Vertical, self.speak, self.takes, stretch=(1, 1))
        self._columns = self._splitter(Qt.Horizontal, left, self._middle, self._right, stretch=(2, 7, 2))
        self._columns.setSizes([290, 580, 386])
        self._middle.setSizes([400, 290])
        self._lower.setSizes([410, 174])
        self._right.setSizes([350, 330])
        for panel, width in ((left, 264), (self._middle, 400), (self.speak, 384)):
            panel.setMinimumWidth(width)
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        inner = QWidget()
        inside = QVBoxLayout(inner)
        inside.setContentsMargins(MARGIN, 4, MARGIN, MARGIN)
        inside.setSpacing(MARGIN - 4)
        inside.addWidget(self.notices)
        inside.addWidget(self._columns, 1)
        column.addWidget(inner, 1)
        column.addWidget(self.jobs)
        self.setCentralWidget(centre)

    @staticmethod
    def _column(*widgets: QWidget) -> QWidget:
        column = QWidget()
        box = QVBoxLayout(column)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(MARGIN)
        for widget in widgets:
            box.addWidget(widget)
        return column

    @staticmethod
    def _splitter(orientation: Qt.Orientation, *widgets: QWidget, stretch: tuple[int, ...]) -> QSplitter:
        splitter = QSplitter(orientation)
        splitter.setHandleWidth(MARGIN)
        splitter.setChildrenCollapsible(False)
        for i, widget in enumerate(widgets):
            splitter.addWidget(widget)
            splitter.setStretchFactor(i, stretch[i])
        return splitter

    # --- views --------------------------------------------------------------------------------------------------

    def on_theme_changed(self, dark: bool) -> None:
        for view in (self.map, self.spectrogram, self.embedding):
            view.apply_theme(dark)

    def on_shown_changed(self, id: str | None) -> None:
        """Shows the mel and the embedding of what is looked at; a take's beside that of the voice it imitates."""
        workspace = self._workspace
        take, utterance = workspace.takes.get(id), workspace.utterances.get(id)
        if take is not None:
            self.spectrogram.show_mel(take.heard or take.mel, shortened(take.text), take.alignment)
            sources = [workspace.utterances[i] for i in take.receipt.utterance_ids if i in workspace.utterances]
            voice = mean_embedding([u.embedding for u in sources]) if sources and take.embedding else None
            speaker = sources[0].speaker if sources else ""
            card = workspace.card("encoder")
            usual = card.usual_similarities if voice is not None and card and card.space == voice.encoder else None
            self.embedding.show_embedding(take.embedding, "Take", voice, speaker, usual)
        elif utterance is not None:
            self.spectrogram.show_mel(utterance.mel, shortened(f"{utterance.speaker} · {utterance.name}"))
            self.embedding.show_embedding(utterance.embedding, "Embedding")
        else:
            self.spectrogram.clear()
            self.embedding.clear()
        self.spectrogram.set_playhead(None)

    def _on_changed(self, id: str) -> None:
        if id == self._workspace.shown_id:
            self.on_shown_changed(id)

    def set_playhead(self, seconds: float | None) -> None:
        """Seconds heard of what is shown; None when nothing of it is heard."""
        heard = self._workspace.playing_id is not None and self._workspace.playing_id == self._workspace.shown_id
        self.spectrogram.set_playhead(seconds if heard else None)

    # --- what is remembered -------------------------------------------------------------------------------------

    def save_layout(self) -> dict[str, QByteArray]:
        state = {"geometry": self.saveGeometry()}
        for name in ("columns", "middle", "lower", "right"):
            state[name] = getattr(self, f"_{name}").saveState()
        return state

    def restore_layout(self, state: dict[str, QByteArray]) -> None:
        if not state["geometry"].isEmpty():
            self.restoreGeometry(state["geometry"])
        for name in ("columns", "middle", "lower", "right"):
            if not state[name].isEmpty():
                getattr(self, f"_{name}").restoreState(state[name])

    # --- events -------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event) -> None:
        """Space, where nothing that has the keyboard wants it."""
        if event.key() == Qt.Key_Space and not event.modifiers() and not event.isAutoRepeat():
            self.play_or_stop_wanted.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event) -> None:
        super().paintEvent(event)
        if not self._was_painted:
            self._was_painted = True
            QTimer.singleShot(0, self.painted.emit)

    def changeEvent(self, event) -> None:
        super().changeEvent(event)
        if event.type() == event.ActivationChange and self.isActiveWindow():
            self.activated.emit()

    def closeEvent(self, event) -> None:
        self.closing.emit()
        event.accept()

    def dragEnterEvent(self, event) -> None:
        if _local_paths(event.mimeData()):
            event.acceptProposedAction()
            self._veil.setGeometry(self.centralWidget().geometry().adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN))
            self._veil.raise_()
            self._veil.show()

    def dragLeaveEvent(self, event) -> None:
        self._veil.hide()

    def dropEvent(self, event) -> None:
        self._veil.hide()
        event.acceptProposedAction()
        self.files_dropped.emit(_local_paths(event.mimeData()))


def first_size(screen: QSize) -> QSize:
    """How large a window begins: 1280 by 800, never larger than the screen has room for."""
    return QSize(1280, 800).boundedTo(screen)


def shortened(text: str, length: int = 70) -> str:
    """One line of at most `length` characters."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _local_paths(mime) -> list[Path]:
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
