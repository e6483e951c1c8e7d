"""The voices: every utterance under its speaker."""

from PyQt5.QtCore import QSize, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QStackedWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from toolbox.theme import Theme
from toolbox.widgets.parts import Card, EmptyState, icon_button, spoken_seconds
from toolbox.workspace import Workspace

ID = Qt.UserRole
SPEAKER = Qt.UserRole + 1


class VoiceTree(QTreeWidget):
    """A tree that leaves letters, Space and Del to the window's shortcuts."""

    def keyPressEvent(self, event) -> None:
        own = (Qt.Key_Up, Qt.Key_Down, Qt.Key_Left, Qt.Key_Right, Qt.Key_Home, Qt.Key_End, Qt.Key_F2)
        if event.key() in own or self.state() == QAbstractItemView.EditingState:
            super().keyPressEvent(event)
        else:
            event.ignore()


class VoicePanel(Card):
    """Lists the real utterances; generated ones stand among the takes."""

    load_wanted = pyqtSignal()
    play_wanted = pyqtSignal(str)
    utterance_selected = pyqtSignal(str)
    speaker_selected = pyqtSignal(str)
    speaker_renamed = pyqtSignal(str, str)
    utterance_renamed = pyqtSignal(str, str)
    remove_wanted = pyqtSignal(list)
    save_wanted = pyqtSignal(str)

    def __init__(self, workspace: Workspace, theme: Theme, parent: QWidget | None = None):
        super().__init__("Voices", parent)
        self._workspace, self._theme = workspace, theme
        self._filling = False
        self.load = QPushButton("Load files…")
        self.load.setToolTip("Load sound files (Ctrl+O): wav, flac, ogg, opus, mp3")
        self.load.setFocusPolicy(Qt.TabFocus)
        theme.set_icon(self.load, "folder")
        self.load.clicked.connect(self.load_wanted)
        self.header.addWidget(self.load)
        self.tree = self._build_tree()
        self.empty = EmptyState(
            theme, "voice", "No voices yet", "Record one above, or drop sound files anywhere in this window."
        )
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.tree)
        self.body.addWidget(self.pages, 1)
        self.body.addLayout(self._build_buttons())
        for signal in (workspace.utterance_added, workspace.utterance_removed, workspace.utterance_changed):
            signal.connect(self.on_utterances_changed)
        workspace.shown_changed.connect(self.on_shown_changed)
        workspace.playing_changed.connect(lambda id: self._enable())
        self.on_utterances_changed()

    def _build_tree(self) -> VoiceTree:
        tree = VoiceTree()
        tree.setColumnCount(2)
        tree.setHeaderHidden(True)
        tree.setAccessibleName("Voices")
        tree.setIndentation(18)
        tree.setIconSize(QSize(16, 16))
        tree.setUniformRowHeights(True)
        tree.setExpandsOnDoubleClick(False)
        tree.setSelectionMode(QAbstractItemView.SingleSelection)
        tree.setEditTriggers(QAbstractItemView.EditKeyPressed)
        tree.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        tree.setContextMenuPolicy(Qt.CustomContextMenu)
        tree.customContextMenuRequested.connect(self._open_menu)
        tree.header().setStretchLastSection(False)
        tree.header().setSectionResizeMode(0, QHeaderView.Stretch)
        tree.header().setSectionResizeMode(1, QHeaderView.ResizeToContents)
        tree.currentItemChanged.connect(self._on_current)
        tree.itemChanged.connect(self._on_edited)
        tree.itemDoubleClicked.connect(self._on_double_click)
        return tree

    def _build_buttons(self) -> QHBoxLayout:
        self.play = icon_button(self._theme, "play", "Play the utterance", "Play or stop (Space)")
        self.rename = icon_button(self._theme, "rename", "Rename", "Rename the speaker or the utterance (F2)")
        self.save = icon_button(self._theme, "export", "Save the utterance as a sound file")
        self.remove = icon_button(self._theme, "remove", "Remove", "Remove (Del)")
        self.count = QLabel()
        self.count.setObjectName("muted")
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.count, 1)
        for button in (self.play, self.rename, self.save, self.remove):
            row.addWidget(button)
        self.play.clicked.connect(lambda: self._with_id(self.play_wanted.emit))
        self.save.clicked.connect(lambda: self._with_id(self.save_wanted.emit))
        self.rename.clicked.connect(self.edit_current)
        self.remove.clicked.connect(self.remove_current)
        return row

    # --- what the workspace says --------------------------------------------------------------------------------

    def on_utterances_changed(self, id: str = "") -> None:
        self._filling = True
        folded = {
            self.tree.topLevelItem(i).data(0, SPEAKER)
            for i in range(self.tree.topLevelItemCount())
            if not self.tree.topLevelItem(i).isExpanded()
        }
        before = self.tree.currentItem()
        speaker_was_current = before.data(0, SPEAKER) if before is not None and before.data(0, ID) is None else None
        self.tree.clear()
        speakers = self._workspace.speakers()
        for speaker in speakers:
            utterances = self._workspace.utterances_of(speaker)
            top = QTreeWidgetItem([speaker, str(len(utterances))])
            top.setData(0, SPEAKER, speaker)
            top.setIcon(0, self._theme.dot(self._workspace.speaker_colour(speaker)))
            top.setFlags(top.flags() | Qt.ItemIsEditable)
            font = top.font(0)
            font.setBold(True)
            top.setFont(0, font)
            top.setTextAlignment(1, Qt.AlignRight | Qt.AlignVCenter)
            top.setToolTip(0, f"{speaker}: {len(utterances)} utterance{'s' if len(utterances) > 1 else ''}, averaged")
            for utterance in utterances:
                child = QTreeWidgetItem([utterance.name, spoken_seconds(utterance.waveform.seconds)])
                child.setData(0, ID, utterance.id)
                child.setData(0, SPEAKER, speaker)
                child.setFlags(child.flags() | Qt.ItemIsEditable)
                child.setTextAlignment(1, Qt.AlignRight | Qt.AlignVCenter)
                child.setToolTip(0, utterance.source or f"{utterance.name}, recorded here")
                top.addChild(child)
            self.tree.addTopLevelItem(top)
            top.setExpanded(speaker not in folded)
            if speaker == speaker_was_current:
                self.tree.setCurrentItem(top)
        self._filling = False
        self.pages.setCurrentWidget(self.tree if speakers else self.empty)
        n = sum(1 for u in self._workspace.utterances.values() if u.origin != "generated")
        self.count.setText(f"{n} utterance{'s' if n != 1 else ''}" if n else "")
        if speaker_was_current is None or speaker_was_current not in speakers:
            self.on_shown_changed(self._workspace.shown_id)
        self._enable()

    def on_shown_changed(self, id: str | None) -> None:
        self._filling = True
        item = self._item(id)
        if item is None:
            self.tree.setCurrentItem(None)
            self.tree.clearSelection()
        else:
            self.tree.setCurrentItem(item)
            self.tree.scrollToItem(item)
        self._filling = False
        self._enable()

    def _item(self, id: str | None) -> QTreeWidgetItem | None:
        for i in range(self.tree.topLevelItemCount()):
            top = self.tree.topLevelItem(i)
            for j in range(top.childCount()):
                if id is not None and top.child(j).data(0, ID) == id:
                    return top.child(j)
        return None

    def _enable(self) -> None:
        item = self.tree.currentItem()
        one = item is not None and item.data(0, ID) is not None
        for button in (self.play, self.save):
            button.setEnabled(one)
        for button in (self.rename, self.remove):
            button.setEnabled(item is not None)
        playing = one and item.data(0, ID) == self._workspace.playing_id
        self._theme.set_icon(self.play, "stop" if playing else "play")

    # --- what the person does -----------------------------------------------------------------------------------

    def _with_id(self, then) -> None:
        item = self.tree.currentItem()
        if item is not None and item.data(0, ID) is not None:
            then(item.data(0, ID))

    def _on_current(self, item: QTreeWidgetItem | None, previous: QTreeWidgetItem | None) -> None:
        if self._filling or item is None:
            return
        if item.data(0, ID) is not None:
            self.utterance_selected.emit(item.data(0, ID))
        else:
            self.speaker_selected.emit(item.data(0, SPEAKER))
        self._enable()

    def _on_double_click(self, item: QTreeWidgetItem, column: int) -> None:
        if item.data(0, ID) is not None:
            self.play_wanted.emit(item.data(0, ID))
        else:
            self.tree.editItem(item, 0)

    def _on_edited(self, item: QTreeWidgetItem, column: int) -> None:
        if self._filling or column != 0:
            return
        id, speaker, text = item.data(0, ID), item.data(0, SPEAKER), item.text(0).strip()
        if not text:  # no name at all: the old one stays
            self.on_utterances_changed()
        elif id is None and text != speaker:
            self.speaker_renamed.emit(speaker, text)
        elif id is not None:
            self.utterance_renamed.emit(id, text)

    def edit_current(self) -> None:
        if self.tree.currentItem() is not None:
            self.tree.editItem(self.tree.currentItem(), 0)

    def remove_current(self) -> None:
        """Asks for the removal of the current utterance, or of all of the current speaker's."""
        item = self.tree.currentItem()
        if item is not None:
            id = item.data(0, ID)
            ids = [u.id for u in self._workspace.utterances_of(item.data(0, SPEAKER))] if id is None else [id]
            self.remove_wanted.emit(ids)

    def _open_menu(self, point) -> None:
        if self.tree.itemAt(point) is None:
            return
        menu = QMenu(self)
        if self.play.isEnabled():
            menu.addAction("Play or stop", self.play.click)
        menu.addAction("Rename", self.edit_current)
        if self.save.isEnabled():
            menu.addAction("Save as a sound file…", self.save.click)
        menu.addSeparator()
        menu.addAction("Remove", self.remove_current)
        menu.popup(self.tree.viewport().mapToGlobal(point))
