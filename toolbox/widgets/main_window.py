"""The window: panels side by side, messages above, progress below. It wires nothing; `toolbox.app` does."""

from pathlib import Path

from PyQt5.QtCore import QByteArray, Qt, QTimer, pyqtSignal
from PyQt5.QtWidgets import QFrame, QLabel, QMainWindow, QSplitter, QVBoxLayout, QWidget

from toolbox.theme import Theme
from toolbox.widgets.job_strip import JobStrip
from toolbox.widgets.menus import Menus
from toolbox.widgets.models_panel import ModelsPanel
from toolbox.widgets.notice_strip import NoticeStrip
from toolbox.widgets.parts import MARGIN, Card
from toolbox.widgets.record_panel import RecordPanel
from toolbox.widgets.speak_panel import SpeakPanel
from toolbox.widgets.takes_panel import TakesPanel
from toolbox.widgets.voice_panel import VoicePanel
from toolbox.workspace import Workspace


class ViewCard(Card):
    """A card around a view that is built a moment after the window is up."""

    def __init__(self, title: str, parent: QWidget | None = None):
        super().__init__(title, parent)
        self.view: QWidget | None = None
        self._note = QLabel("", alignment=Qt.AlignCenter)
        self._note.setObjectName("muted")
        self.body.addWidget(self._note, 1)

    def set_view(self, view: QWidget) -> None:
        self._note.hide()
        self.view = view
        self.body.addWidget(view, 1)


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
        self.setMinimumSize(1040, 680)
        self.resize(1280, 800)
        self.record = RecordPanel(theme)
        self.voices = VoicePanel(workspace, theme)
        self.models = ModelsPanel(workspace, theme)
        self.map = ViewCard("Map of voices")
        self.spectrogram = ViewCard("Mel spectrogram")
        self.embedding = ViewCard("Embedding")
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

    def _lay_out(self) -> None:
        left = self._column(self.record, self.voices, self.models)
        left.layout().setStretch(1, 1)
        self._lower = self._splitter(Qt.Horizontal, self.spectrogram, self.embedding, stretch=(5, 2))
        self._middle = self._splitter(Qt.Vertical, self.map, self._lower, stretch=(3, 2))
        self._right = self._splitter(Qt.Vertical, self.speak, self.takes, stretch=(1, 1))
        self._columns = self._splitter(Qt.Horizontal, left, self._middle, self._right, stretch=(0, 1, 0))
        self._columns.setSizes([292, 592, 372])
        self._middle.setSizes([400, 290])
        self._lower.setSizes([410, 174])
        self._right.setSizes([350, 330])
        for panel, width in ((left, 264), (self.map, 300), (self.speak, 330)):
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

    def set_view(self, which: str, view: QWidget) -> None:
        """which: "map", "spectrogram" or "embedding"."""
        card = {"map": self.map, "spectrogram": self.spectrogram, "embedding": self.embedding}[which]
        card.set_view(view)
        view.apply_theme(bool(self.theme.dark))
        self.on_shown_changed(self._workspace.shown_id)

    def on_theme_changed(self, dark: bool) -> None:
        for card in (self.map, self.spectrogram, self.embedding):
            if card.view is not None:
                card.view.apply_theme(dark)

    def on_shown_changed(self, id: str | None) -> None:
        """Shows the mel and the embedding of what is looked at."""
        take, utterance = self._workspace.takes.get(id), self._workspace.utterances.get(id)
        item = take or utterance
        title = ""
        if take is not None:
            title = " ".join(take.text.split())
        elif utterance is not None:
            title = f"{utterance.speaker} · {utterance.name}"
        title = title if len(title) <= 60 else title[:59] + "…"
        if self.spectrogram.view is not None:
            self.spectrogram.view.show_mel(item.mel if item else None, title)
            self.spectrogram.view.set_playhead(None)
        if self.embedding.view is not None:
            self.embedding.view.show_embedding(item.embedding if item else None, "")

    def _on_changed(self, id: str) -> None:
        if id == self._workspace.shown_id:
            self.on_shown_changed(id)

    def set_playhead(self, seconds: float | None) -> None:
        """Seconds heard of what is shown; None when nothing of it is heard."""
        if self.spectrogram.view is not None:
            heard = self._workspace.playing_id is not None and self._workspace.playing_id == self._workspace.shown_id
            self.spectrogram.view.set_playhead(seconds if heard else None)

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


def _local_paths(mime) -> list[Path]:
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
