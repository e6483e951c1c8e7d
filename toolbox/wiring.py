"""One whole toolbox: state, lanes, verbs and window, connected; its start and its end."""

import logging
import time
from pathlib import Path
from typing import Any

from PyQt5.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt5.QtWidgets import QApplication

from core.inference.cloner import Cloner
from toolbox.actions import Actions, Tools
from toolbox.desktop import DesktopTheme
from toolbox.dialogs import Dialogs, open_outside
from toolbox.jobs import Lane
from toolbox.notices import Notices
from toolbox.settings import Settings, log_path
from toolbox.sound import Sound
from toolbox.theme import Theme
from toolbox.widgets.error_dialog import ErrorDialog
from toolbox.widgets.main_window import MainWindow
from toolbox.workspace import Voice, Workspace

log = logging.getLogger("toolbox")

DEVICE_INTERVAL = 3000  # ms between two looks for plugged devices
PATIENCE = 10.0  # seconds given to the workers when the window closes


class Toolbox(QObject):
    """Everything of one window: build it, `start` it, `close` it. `closed` comes when no thread is left."""

    closed = pyqtSignal()

    def __init__(
        self, application: QApplication, settings: Settings, folder: Path, cloner: Any = None, devices: Any = None
    ):
        super().__init__()
        self.settings = settings
        self.theme = Theme(application, settings.theme)
        self.desktop = DesktopTheme(self)
        self.desktop.dark.connect(self.theme.on_system)
        self.workspace = Workspace(self)
        self.notices = Notices(self)
        self.lanes = {name: Lane(name, self) for name in ("models", "files", "projection", "sound")}
        self.sound = Sound(self.lanes["sound"], devices, self)
        self.sound.input_name = settings.text("sound/input")
        self.sound.output_name = settings.text("sound/output")
        self.tools = Tools(
            self.workspace,
            self.notices,
            settings,
            self.sound,
            cloner or Cloner(folder),
            self.lanes["models"],
            self.lanes["files"],
            self.lanes["projection"],
        )
        self.actions = Actions(self.tools, self)
        self.window = MainWindow(self.workspace, self.theme)
        self.dialogs = Dialogs(self.window, self.actions)
        self._closing = False
        self._device_timer = QTimer(self, interval=DEVICE_INTERVAL)
        self._device_timer.timeout.connect(self._look_for_devices)
        self._end_timer = QTimer(self, interval=20)
        self._end_timer.timeout.connect(self._check_end)
        self._wire()
        self._restore()

    # --- wiring -------------------------------------------------------------------------------------------------

    def _wire(self) -> None:
        window, actions, sound = self.window, self.actions, self.sound
        self.notices.posted.connect(window.notices.show_notice)
        self.notices.withdrawn.connect(window.notices.withdraw)
        self.notices.unexpected.connect(self.show_error)
        for lane in (self.lanes["models"], self.lanes["files"]):
            lane.submitted.connect(window.jobs.on_submitted)
        window.jobs.cancel_wanted.connect(actions.cancel)
        window.closing.connect(self.close)
        window.files_dropped.connect(actions.voices.load)
        window.play_or_stop_wanted.connect(actions.play_or_stop)
        window.activated.connect(self._on_activated)

        window.record.record_wanted.connect(actions.voices.toggle_recording)
        window.record.speaker_changed.connect(actions.voices.set_speaker)
        window.record.input_chosen.connect(self._choose_input)
        window.record.refresh_wanted.connect(sound.refresh_devices)
        sound.recording_changed.connect(window.record.on_state)
        sound.level.connect(window.record.on_level)
        sound.devices_changed.connect(self._on_devices)
        sound.position.connect(window.set_playhead)
        sound.playback_stopped.connect(lambda key: window.set_playhead(None))

        window.voices.load_wanted.connect(self.dialogs.ask_for_files)
        window.voices.play_wanted.connect(actions.play)
        window.voices.utterance_selected.connect(self._on_utterance_selected)
        window.voices.speaker_selected.connect(lambda speaker: self.workspace.set_voice(Voice(speaker)))
        window.voices.speaker_renamed.connect(actions.voices.rename_speaker, Qt.QueuedConnection)
        window.voices.utterance_renamed.connect(actions.voices.rename_utterance, Qt.QueuedConnection)
        window.voices.remove_wanted.connect(actions.voices.remove)
        window.voices.save_wanted.connect(self.dialogs.ask_where_to_save)

        window.speak.voice_chosen.connect(self.workspace.set_voice)
        window.speak.speak_wanted.connect(actions.speaking.clone)
        window.speak.synthesize_wanted.connect(actions.speaking.synthesize)
        window.speak.vocode_wanted.connect(actions.speaking.vocode)
        window.speak.tuned.toggled.connect(actions.speaking.set_tuned)
        window.speak.dictionary_wanted.connect(self.dialogs.edit_dictionary)
        actions.speaking.seed_drawn.connect(window.speak.show_seed)

        window.takes.play_wanted.connect(actions.play)
        window.takes.take_selected.connect(self.workspace.select)
        window.takes.export_wanted.connect(self.dialogs.ask_where_to_save)
        window.takes.vocode_wanted.connect(actions.speaking.vocode)
        window.takes.remove_wanted.connect(actions.speaking.remove)

        window.map.utterance_selected.connect(self._on_utterance_selected)
        window.map.remove_requested.connect(actions.remove)
        window.spectrogram.seek_requested.connect(actions.seek)
        window.spectrogram.part_requested.connect(actions.play_part)
        window.models.chosen.connect(actions.models.choose)
        window.models.rescan_wanted.connect(lambda: actions.models.rescan())
        self._wire_menus()

    def _wire_menus(self) -> None:
        window, menus, actions = self.window, self.window.menus, self.actions
        menus.load_wanted.connect(self.dialogs.ask_for_files)
        menus.export_wanted.connect(self._export)
        menus.quit_wanted.connect(window.close)
        menus.undo_wanted.connect(actions.undo)
        menus.rename_wanted.connect(window.voices.edit_current)
        menus.remove_wanted.connect(self._remove)
        menus.dictionary_wanted.connect(window.speak.dictionary.click)
        menus.record_wanted.connect(window.record.button.click)
        menus.play_wanted.connect(actions.play_or_stop)
        menus.speak_wanted.connect(window.speak.speak.click)
        menus.text_wanted.connect(window.speak.text.setFocus)
        menus.cancel_wanted.connect(actions.cancel)
        menus.rescan_wanted.connect(lambda: actions.models.rescan())
        menus.folder_wanted.connect(lambda: open_outside(actions.models.folder))
        menus.log_wanted.connect(lambda: open_outside(log_path()))
        menus.about_wanted.connect(self.dialogs.about)
        menus.theme_chosen.connect(self.choose_theme)
        menus.output_chosen.connect(self._choose_output)
        menus.show_theme(self.theme.choice)

    # --- start --------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Shows the window, and begins everything else once it is seen."""
        self.window.painted.connect(self.start)
        self.window.show()

    def start(self) -> None:
        """What happens in the workers as soon as the window is up."""
        if self._closing:
            return
        self.desktop.ask()
        self.actions.map.load_references()
        self.actions.models.rescan()
        self.sound.refresh_devices()
        self._device_timer.start()

    def load_when_ready(self, files: list[Path]) -> None:
        """Loads sound files as soon as the models have been looked for."""

        def load() -> None:
            self.actions.models.loaded.disconnect(load)
            self.actions.voices.load(files)

        self.actions.models.loaded.connect(load)

    # --- devices ------------------------------------------------------------------------------------------------

    def _look_for_devices(self) -> None:
        if self.window.isActiveWindow():
            self.sound.refresh_devices()

    def _on_devices(self) -> None:
        self.window.record.set_inputs(self.sound.inputs, self.sound.input_name)
        self.window.menus.set_outputs(self.sound.outputs, self.sound.output_name)

    def _choose_input(self, name: str) -> None:
        self.sound.input_name = name
        self.settings.put("sound/input", name)

    def _choose_output(self, name: str) -> None:
        self.sound.output_name = name
        self.settings.put("sound/output", name)

    # --- what the person does -----------------------------------------------------------------------------------

    def _on_utterance_selected(self, id: str) -> None:
        """Looking at another speaker's utterance makes that speaker the voice."""
        self.workspace.select(id)
        utterance = self.workspace.utterances.get(id)
        voice = self.workspace.voice
        real = utterance is not None and utterance.origin != "generated"
        if real and (voice is None or voice.speaker != utterance.speaker):
            self.workspace.set_voice(Voice(utterance.speaker))

    def _on_activated(self) -> None:
        if self.sound.known:
            self.actions.models.rescan(asked=False)

    def _remove(self) -> None:
        """The take that is shown, unless the person went to the voices since: a speaker's name shows nothing else."""
        id, takes = self.workspace.shown_id, self.window.takes
        if id in self.workspace.takes and (takes.list.hasFocus() or self.window.voices.tree.currentItem() is None):
            self.actions.speaking.remove(id)
        else:
            self.window.voices.remove_current()

    def _export(self) -> None:
        if self.workspace.shown_id in self.workspace.takes:
            self.dialogs.ask_where_to_save(self.workspace.shown_id)
        else:
            self.notices.warning("No take is marked.", "Mark one in the list of takes first.", key="export")

    def choose_theme(self, choice: str) -> None:
        self.settings.put("theme", choice)
        self.theme.choose(choice)
        self.window.menus.show_theme(choice)

    def show_error(self, error: BaseException) -> None:
        """The dialog for what nobody foresaw; one at a time, the rest is in the log."""
        log.error("unexpected", exc_info=(type(error), error, error.__traceback__))
        if not self._closing and not self.window.findChildren(ErrorDialog):
            ErrorDialog(error, log_path(), self.window).show()

    # --- what is remembered, and the end ------------------------------------------------------------------------

    def _restore(self) -> None:
        names = ("geometry", "columns", "middle", "lower", "right")
        self.window.restore_layout({name: self.settings.blob(f"window/{name}") for name in names})
        speak = self.window.speak
        speak.seed.setValue(int(self.settings.number("speak/seed", 0)))
        speak.random.setChecked(self.settings.flag("speak/random", False))
        speak.speed.setValue(self.settings.number("speak/speed", 1.0))
        speak.variation.setValue(self.settings.number("speak/variation", 0.5))
        speak.pitch.setValue(self.settings.number("speak/pitch", 0.0))
        speak.tuned.setChecked(self.settings.flag("speak/tuned", True))

    def _remember(self) -> None:
        for name, value in self.window.save_layout().items():
            self.settings.put(f"window/{name}", value)
        speak = self.window.speak
        self.settings.put("speak/seed", speak.seed.value())
        self.settings.put("speak/random", speak.random.isChecked())
        self.settings.put("speak/speed", speak.speed.value())
        self.settings.put("speak/variation", speak.variation.value())
        self.settings.put("speak/pitch", speak.pitch.value())
        self.settings.put("speak/tuned", speak.tuned.isChecked())
        self.settings.save()

    def close(self) -> None:
        """Cancels, hides, waits for the workers without blocking the event loop, then says `closed`."""
        if self._closing:
            return
        self._closing = True
        self._remember()
        self.sound.recorded.disconnect()
        self._device_timer.stop()
        if self.sound.state != "idle":
            self.sound.stop_recording()
        self.sound.stop()
        self.window.hide()
        self._deadline = time.monotonic() + PATIENCE
        for name in ("models", "files", "projection"):
            self.lanes[name].stop()
        self._end_timer.start()

    def _check_end(self) -> None:
        sound = self.lanes["sound"]
        if self.sound.state == "idle" and not sound.jobs:  # devices are closed in order
            sound.stop()
        if all(lane.has_stopped for lane in self.lanes.values()) or time.monotonic() > self._deadline:
            self._end_timer.stop()
            self.actions.map.close()
            self.closed.emit()
