"""The takes: everything that was spoken, to hear again, export or remove."""

from PyQt5.QtCore import QSize, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.types import Take, mean_embedding
from toolbox.theme import Theme
from toolbox.widgets.parts import Card, ElidedLabel, EmptyState, icon_button, spoken_seconds
from toolbox.workspace import Workspace

ID = Qt.UserRole


class TakeRow(QWidget):
    """One take: a play button, its text, and what it was made from."""

    play_wanted = pyqtSignal(str)

    def __init__(self, workspace: Workspace, theme: Theme, id: str, parent: QWidget | None = None):
        super().__init__(parent)
        self._workspace, self._theme, self.id = workspace, theme, id
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 4, 8, 4)
        row.setSpacing(6)
        self.play = icon_button(theme, "play", "Play the take", "Play or stop")
        self.play.clicked.connect(lambda: self.play_wanted.emit(self.id))
        row.addWidget(self.play)
        lines = QVBoxLayout()
        lines.setSpacing(0)
        self.text = ElidedLabel()
        self.facts = ElidedLabel()
        self.facts.setObjectName("muted")
        lines.addWidget(self.text)
        lines.addWidget(self.facts)
        row.addLayout(lines, 1)
        self.refresh()

    def refresh(self) -> None:
        take = self._workspace.takes.get(self.id)
        if take is None:
            return
        self.text.set_text(" ".join(take.text.split()))
        self.facts.set_text(self._facts(take))
        self.setToolTip(self._receipt(take))
        self.play.setEnabled(take.waveform is not None)
        playing = self._workspace.playing_id == self.id
        self._theme.set_icon(self.play, "stop" if playing else "play", "accent" if playing else "text")

    def _facts(self, take: Take) -> str:
        receipt = take.receipt
        sources = [self._workspace.utterances.get(id) for id in receipt.utterance_ids]
        sources = [u for u in sources if u is not None]
        speakers = list(dict.fromkeys(u.speaker for u in sources)) or list(receipt.voice)
        facts = [", ".join(speakers)] if speakers else []
        facts.append(spoken_seconds(take.mel.seconds) if take.waveform is not None else "no sound yet")
        facts.append(f"seed {receipt.seed}")
        if take.embedding is not None and sources:
            spaces = {u.embedding.encoder for u in sources}
            if spaces == {take.embedding.encoder}:
                likeness = mean_embedding([u.embedding for u in sources]).similarity(take.embedding)
                facts.append(f"likeness {likeness:.2f}")
        return " · ".join(facts)

    @staticmethod
    def _receipt(take: Take) -> str:
        """Everything the take was made with, one fact a line."""
        receipt = take.receipt
        lines = [f"Synthesizer: {receipt.synthesizer}", f"Vocoder: {receipt.vocoder or 'none yet'}"]
        options = receipt.options
        lines.append(f"Seed {receipt.seed}, speed {options.speed:g}, variation {options.temperature:g}")
        if not options.tuned:
            lines.append("Not tuned to the voice")
        elif take.embedding is not None:
            lines.append("Likeness as the encoder hears it that tuning listens with; others hear less")
        if options.pitch:
            lines.append(f"Pitch {options.pitch:+g} semitones")
        made = sum(receipt.timings.get(stage, 0.0) for stage in ("synthesize", "vocode"))
        if made:
            lines.append(f"Made in {made:.2f} s")
        return "\n".join(lines)


class TakeList(QListWidget):
    """A list that leaves letters, Space and Del to the window's shortcuts."""

    def keyPressEvent(self, event) -> None:
        if event.key() in (Qt.Key_Up, Qt.Key_Down, Qt.Key_Home, Qt.Key_End):
            super().keyPressEvent(event)
        else:
            event.ignore()


class TakesPanel(Card):
    """Newest first."""

    play_wanted = pyqtSignal(str)
    take_selected = pyqtSignal(str)
    export_wanted = pyqtSignal(str)
    vocode_wanted = pyqtSignal(str)
    remove_wanted = pyqtSignal(str)

    def __init__(self, workspace: Workspace, theme: Theme, parent: QWidget | None = None):
        super().__init__("Takes", parent)
        self._workspace, self._theme = workspace, theme
        self._filling = False
        self.list = TakeList()
        self.list.setAccessibleName("Takes")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QListWidget.ScrollPerPixel)
        self.list.setResizeMode(QListWidget.Adjust)  # rows are laid out anew when the window gets narrower
        self.list.setContextMenuPolicy(Qt.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._open_menu)
        self.list.currentItemChanged.connect(self._on_current)
        self.list.itemDoubleClicked.connect(lambda item: self.play_wanted.emit(item.data(ID)))
        self.empty = EmptyState(theme, "wave", "Nothing spoken yet", "What you make appears here, newest first.")
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.list)
        self.body.addWidget(self.pages, 1)
        self.vocode = icon_button(theme, "wave", "Vocode this take", "Make the sound again with the vocoder now chosen")
        self.remove = icon_button(theme, "remove", "Remove this take", "Remove this take (Del)")
        self.export = QPushButton("Export…")
        self.export.setToolTip("Save this take as wav, flac or ogg (Ctrl+Shift+E)")
        self.export.setFocusPolicy(Qt.TabFocus)
        theme.set_icon(self.export, "export")
        self.count = QLabel()
        self.count.setObjectName("muted")
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.count, 1)
        row.addWidget(self.vocode)
        row.addWidget(self.remove)
        row.addSpacing(6)
        row.addWidget(self.export)
        self.body.addLayout(row)
        self.export.clicked.connect(lambda: self._with_id(self.export_wanted.emit))
        self.vocode.clicked.connect(lambda: self._with_id(self.vocode_wanted.emit))
        self.remove.clicked.connect(lambda: self._with_id(self.remove_wanted.emit))
        workspace.take_added.connect(self.on_take_added)
        workspace.take_removed.connect(self.on_take_removed)
        workspace.take_changed.connect(self.on_take_changed)
        workspace.shown_changed.connect(self.on_shown_changed)
        workspace.playing_changed.connect(lambda id: self.refresh())
        workspace.utterance_changed.connect(lambda id: self.refresh())
        for id in reversed(workspace.takes):
            self.on_take_added(id)
        self._enable()

    def on_take_added(self, id: str) -> None:
        row = TakeRow(self._workspace, self._theme, id)
        row.play_wanted.connect(self.play_wanted)
        item = QListWidgetItem()
        item.setData(ID, id)
        item.setSizeHint(QSize(100, max(row.sizeHint().height(), 48)))
        item.setData(Qt.AccessibleTextRole, self._workspace.takes[id].text)
        self._filling = True
        self.list.insertItem(list(reversed(self._workspace.takes)).index(id), item)
        self.list.setItemWidget(item, row)
        self._filling = False
        self._enable()

    def on_take_removed(self, id: str) -> None:
        self._filling = True
        item = self._item(id)
        if item is not None:
            self.list.takeItem(self.list.row(item))
        self._filling = False
        self.on_shown_changed(self._workspace.shown_id)

    def on_take_changed(self, id: str) -> None:
        item = self._item(id)
        if item is not None:
            self.list.itemWidget(item).refresh()
        self._enable()

    def refresh(self) -> None:
        for i in range(self.list.count()):
            self.list.itemWidget(self.list.item(i)).refresh()

    def on_shown_changed(self, id: str | None) -> None:
        self._filling = True
        item = self._item(id)
        self.list.setCurrentItem(item)
        if item is None:
            self.list.clearSelection()
        self._filling = False
        self._enable()

    def _item(self, id: str | None) -> QListWidgetItem | None:
        items = [self.list.item(i) for i in range(self.list.count())]
        return next((item for item in items if item.data(ID) == id), None)

    def _current(self) -> Take | None:
        item = self.list.currentItem()
        return self._workspace.takes.get(item.data(ID)) if item is not None else None

    def _with_id(self, then) -> None:
        take = self._current()
        if take is not None:
            then(take.id)

    def _enable(self) -> None:
        take = self._current()
        n = self.list.count()
        self.pages.setCurrentWidget(self.list if n else self.empty)
        self.count.setText(f"{n} take{'s' if n != 1 else ''}" if n else "")
        self.export.setEnabled(take is not None and take.waveform is not None)
        self.vocode.setEnabled(take is not None)
        self.remove.setEnabled(take is not None)

    def _on_current(self, item: QListWidgetItem | None, previous: QListWidgetItem | None) -> None:
        if not self._filling and item is not None:
            self.take_selected.emit(item.data(ID))
        self._enable()

    def _open_menu(self, point) -> None:
        take = self._current()
        if take is None or self.list.itemAt(point) is None:
            return
        menu = QMenu(self)
        if take.waveform is not None:
            menu.addAction("Play or stop", lambda: self.play_wanted.emit(take.id))
        menu.addAction("Vocode again" if take.waveform is not None else "Vocode", self.vocode.click)
        if take.waveform is not None:
            menu.addAction("Export…", self.export.click)
        menu.addSeparator()
        menu.addAction("Remove", self.remove.click)
        menu.popup(self.list.viewport().mapToGlobal(point))
