"""The menu bar: every verb by name, with the key that does it."""

from PyQt5.QtCore import QObject, Qt, pyqtSignal
from PyQt5.QtWidgets import QAction, QActionGroup, QMainWindow, QMenu

THEMES = (("system", "As the system"), ("light", "Light"), ("dark", "Dark"))


class Menus(QObject):
    """Builds the menus of a window and emits what was chosen."""

    load_wanted = pyqtSignal()
    export_wanted = pyqtSignal()
    quit_wanted = pyqtSignal()
    undo_wanted = pyqtSignal()
    rename_wanted = pyqtSignal()
    remove_wanted = pyqtSignal()
    dictionary_wanted = pyqtSignal()
    record_wanted = pyqtSignal()
    play_wanted = pyqtSignal()
    speak_wanted = pyqtSignal()
    text_wanted = pyqtSignal()
    cancel_wanted = pyqtSignal()
    rescan_wanted = pyqtSignal()
    folder_wanted = pyqtSignal()
    log_wanted = pyqtSignal()
    about_wanted = pyqtSignal()
    theme_chosen = pyqtSignal(str)
    output_chosen = pyqtSignal(str)

    def __init__(self, window: QMainWindow):
        super().__init__(window)
        self.actions: dict[str, QAction] = {}
        bar = window.menuBar()
        file = bar.addMenu("&File")
        self._add(file, "Load sound files…", "Ctrl+O", self.load_wanted)
        self._add(file, "Export take…", "Ctrl+Shift+E", self.export_wanted)
        file.addSeparator()
        self._add(file, "Quit", "Ctrl+Q", self.quit_wanted)
        edit = bar.addMenu("&Edit")
        self._add(edit, "Undo removal", "Ctrl+Z", self.undo_wanted)
        edit.addSeparator()
        self._add(edit, "Rename", "F2", self.rename_wanted)
        self._add(edit, "Remove", "Del", self.remove_wanted)
        edit.addSeparator()
        self._add(edit, "Pronunciations…", "Ctrl+D", self.dictionary_wanted)
        sound = bar.addMenu("&Sound")
        self._add(sound, "Record or stop recording", "R", self.record_wanted)
        # the window takes Space itself: a button that has the keyboard needs it
        self._add(sound, "Play or stop\tSpace", "", self.play_wanted)
        sound.addSeparator()
        self._add(sound, "Speak", "Ctrl+Return", self.speak_wanted)
        self._add(sound, "Go to the text", "Ctrl+T", self.text_wanted)
        self._add(sound, "Cancel", "Esc", self.cancel_wanted)
        sound.addSeparator()
        self.outputs = sound.addMenu("Play through")
        models = bar.addMenu("&Models")
        self._add(models, "Look again for models", "F5", self.rescan_wanted)
        self._add(models, "Open the models folder", "", self.folder_wanted)
        view = bar.addMenu("&View")
        self._themes = QActionGroup(self)
        for choice, name in THEMES:
            action = view.addAction(name)
            action.setCheckable(True)
            action.setData(choice)
            self._themes.addAction(action)
        self._themes.triggered.connect(lambda action: self.theme_chosen.emit(action.data()))
        help_menu = bar.addMenu("&Help")
        self._add(help_menu, "Open the log", "", self.log_wanted)
        self._add(help_menu, "About", "", self.about_wanted)
        self._outputs = QActionGroup(self)
        self._outputs.triggered.connect(lambda action: self.output_chosen.emit(action.data()))
        self.set_outputs([], "")

    def _add(self, menu: QMenu, name: str, keys: str, signal) -> None:
        action = menu.addAction(name)
        if keys:
            action.setShortcut(keys)
            action.setShortcutContext(Qt.WindowShortcut)
            action.setAutoRepeat(False)
        action.triggered.connect(lambda checked=False: signal.emit())
        self.actions[name.split("\t")[0]] = action

    def show_theme(self, choice: str) -> None:
        for action in self._themes.actions():
            action.setChecked(action.data() == choice)

    def set_outputs(self, devices: list, chosen: str) -> None:
        """The loudspeakers there are."""
        for action in self._outputs.actions():
            self._outputs.removeAction(action)
        self.outputs.clear()
        for label, name in [("System default", "")] + [(device.name, device.name) for device in devices]:
            action = self.outputs.addAction(label)
            action.setCheckable(True)
            action.setData(name)
            action.setChecked(name == chosen)
            self._outputs.addAction(action)
        self.outputs.setEnabled(bool(devices))
