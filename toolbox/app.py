"""The application: settings, log, error hook, wiring, start and end. Everything heavy is imported in a worker."""

import argparse
import faulthandler
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from PyQt5.QtCore import QObject, Qt, QTimer, QUrl, pyqtSignal
from PyQt5.QtGui import QDesktopServices, QFont, QIcon
from PyQt5.QtWidgets import QApplication, QFileDialog, QMessageBox

from core.inference.cloner import Cloner
from core.inference.registry import PRETRAINED
from toolbox.actions import Actions, Tools
from toolbox.gentle import Collector
from toolbox.jobs import Lane
from toolbox.notices import Notices
from toolbox.settings import Settings, log_path
from toolbox.sound import Sound
from toolbox.theme import ASSETS, Theme
from toolbox.widgets.error_dialog import ErrorDialog
from toolbox.widgets.main_window import MainWindow
from toolbox.workspace import Voice, Workspace

log = logging.getLogger("toolbox")

DEVICE_INTERVAL = 3000  # ms between two looks for plugged devices
PATIENCE = 10.0  # seconds given to the workers when the window closes
OPEN_FILTER = "Sound files (*.wav *.flac *.ogg *.opus *.mp3 *.aif *.aiff *.au *.w64 *.caf);;All files (*)"
EXPORT_FILTERS = {"WAV (*.wav)": "wav", "FLAC (*.flac)": "flac", "Ogg Vorbis (*.ogg)": "ogg"}


class Toolbox(QObject):
    """Everything of one window: build it, `start` it, `close` it. `closed` comes when no thread is left."""

    closed = pyqtSignal()
    views_ready = pyqtSignal()

    def __init__(
        self, application: QApplication, settings: Settings, folder: Path, cloner: Any = None, devices: Any = None
    ):
        super().__init__()
        self.settings = settings
        self.theme = Theme(application, settings.theme)
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

        window.voices.load_wanted.connect(self.ask_for_files)
        window.voices.play_wanted.connect(actions.play)
        window.voices.utterance_selected.connect(self._on_utterance_selected)
        window.voices.speaker_selected.connect(lambda speaker: self.workspace.set_voice(Voice(speaker)))
        window.voices.speaker_renamed.connect(actions.voices.rename_speaker, Qt.QueuedConnection)
        window.voices.utterance_renamed.connect(actions.voices.rename_utterance, Qt.QueuedConnection)
        window.voices.remove_wanted.connect(actions.voices.remove)
        window.voices.save_wanted.connect(self.ask_where_to_save)

        window.speak.voice_chosen.connect(self.workspace.set_voice)
        window.speak.speak_wanted.connect(actions.speaking.clone)
        window.speak.synthesize_wanted.connect(actions.speaking.synthesize)
        window.speak.vocode_wanted.connect(actions.speaking.vocode)
        actions.speaking.seed_drawn.connect(window.speak.show_seed)

        window.takes.play_wanted.connect(actions.play)
        window.takes.take_selected.connect(self.workspace.select)
        window.takes.export_wanted.connect(self.ask_where_to_save)
        window.takes.vocode_wanted.connect(actions.speaking.vocode)
        window.takes.remove_wanted.connect(actions.speaking.remove)

        window.models.chosen.connect(actions.models.choose)
        window.models.rescan_wanted.connect(actions.models.rescan)
        self._wire_menus()

    def _wire_menus(self) -> None:
        window, menus, actions = self.window, self.window.menus, self.actions
        menus.load_wanted.connect(self.ask_for_files)
        menus.export_wanted.connect(self._export)
        menus.quit_wanted.connect(window.close)
        menus.undo_wanted.connect(actions.undo)
        menus.rename_wanted.connect(window.voices.edit_current)
        menus.remove_wanted.connect(self._remove)
        menus.record_wanted.connect(window.record.button.click)
        menus.play_wanted.connect(actions.play_or_stop)
        menus.speak_wanted.connect(window.speak.speak.click)
        menus.text_wanted.connect(window.speak.text.setFocus)
        menus.cancel_wanted.connect(actions.cancel)
        menus.rescan_wanted.connect(actions.models.rescan)
        menus.folder_wanted.connect(lambda: _open(actions.models.folder))
        menus.log_wanted.connect(lambda: _open(log_path()))
        menus.about_wanted.connect(self._about)
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
        self.actions.map.load_references()
        self.actions.models.rescan()
        self.sound.refresh_devices()
        self._device_timer.start()
        self._build_views()

    def _build_views(self) -> None:
        """The plotting library is imported by a worker; each view is built in a turn of the event loop of its own."""
        names = ("spectrogram_view", "embedding_view", "projection_view")
        job = self.lanes["projection"].submit(
            "Preparing the views",
            lambda report: [importlib.import_module(f"toolbox.widgets.{name}") for name in names],
            quiet=True,
        )
        job.succeeded.connect(self._on_view_modules)
        job.failed.connect(self.show_error)

    def _on_view_modules(self, modules: list) -> None:
        spectrogram, embedding, projection = modules

        def build_map():
            view = projection.ProjectionView(self.workspace)
            view.utterance_selected.connect(self._on_utterance_selected)
            return view

        steps = [
            ("map", build_map),
            ("spectrogram", spectrogram.SpectrogramView),
            ("embedding", embedding.EmbeddingView),
        ]

        def step() -> None:
            if self._closing:
                return
            which, make = steps.pop(0)
            self.window.set_view(which, make())
            if steps:
                QTimer.singleShot(0, step)
            else:
                self.views_ready.emit()

        step()

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
            self.actions.models.rescan()

    def _remove(self) -> None:
        if self.workspace.shown_id in self.workspace.takes:
            self.actions.speaking.remove(self.workspace.shown_id)
        else:
            self.window.voices.remove_current()

    def _export(self) -> None:
        if self.workspace.shown_id in self.workspace.takes:
            self.ask_where_to_save(self.workspace.shown_id)
        else:
            self.notices.warning("No take is marked.", "Mark one in the list of takes first.", key="export")

    def ask_for_files(self) -> None:
        dialog = QFileDialog(self.window, "Load sound files", self.settings.text("folder/open", str(Path.home())))
        dialog.setFileMode(QFileDialog.ExistingFiles)
        dialog.setNameFilters(OPEN_FILTER.split(";;"))
        dialog.setAttribute(Qt.WA_DeleteOnClose)
        dialog.filesSelected.connect(self._on_files)
        dialog.open()

    def _on_files(self, names: list[str]) -> None:
        if names:
            self.settings.put("folder/open", str(Path(names[0]).parent))
            self.actions.voices.load([Path(name) for name in names])

    def ask_where_to_save(self, id: str) -> None:
        """Asks for a file name, for a take or an utterance."""
        take = self.workspace.takes.get(id)
        utterance = self.workspace.utterances.get(id)
        if take is None and utterance is None:
            return
        if take is not None and take.waveform is None:
            self.notices.warning("This take has no sound yet.", "Vocode it first.", key="export")
            return
        folder = Path(self.settings.text("folder/export", str(Path.home())))
        name = file_name(take.text if take is not None else f"{utterance.speaker} {utterance.name}")
        dialog = QFileDialog(self.window, "Export", str(folder))
        dialog.setAcceptMode(QFileDialog.AcceptSave)
        dialog.setNameFilters(list(EXPORT_FILTERS))
        dialog.setDefaultSuffix("wav")
        dialog.selectFile(f"{name}.wav")
        dialog.filterSelected.connect(lambda chosen: _follow_filter(dialog, EXPORT_FILTERS[chosen]))
        dialog.setAttribute(Qt.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self._save(id, Path(path)))
        dialog.open()

    def _save(self, id: str, path: Path) -> None:
        self.settings.put("folder/export", str(path.parent))
        if id in self.workspace.takes:
            self.actions.speaking.export(id, path)
        else:
            self.actions.voices.save_recording(id, path)

    def choose_theme(self, choice: str) -> None:
        self.settings.put("theme", choice)
        self.theme.choose(choice)
        self.window.menus.show_theme(choice)

    def _about(self) -> None:
        box = QMessageBox(self.window)
        box.setAttribute(Qt.WA_DeleteOnClose)
        box.setWindowTitle("About")
        box.setText("<b>Voice Cloning Toolbox</b>")
        box.setInformativeText(
            "Record a voice, see where it lies among others, and let it speak.\n\n"
            "Clone only voices whose owners agree.\n\nGPL-3.0-or-later"
        )
        box.open()

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

    def _remember(self) -> None:
        for name, value in self.window.save_layout().items():
            self.settings.put(f"window/{name}", value)
        speak = self.window.speak
        self.settings.put("speak/seed", speak.seed.value())
        self.settings.put("speak/random", speak.random.isChecked())
        self.settings.put("speak/speed", speak.speed.value())
        self.settings.put("speak/variation", speak.variation.value())
        self.settings.save()

    def close(self) -> None:
        """Cancels, hides, waits for the workers without blocking the event loop, then says `closed`."""
        if self._closing:
            return
        self._closing = True
        self._remember()
        self._device_timer.stop()
        if self.sound.state != "idle":
            self.sound.stop_recording()
        self.sound.stop()
        self.window.hide()
        self._deadline = time.monotonic() + PATIENCE
        for name in ("models", "files", "projection"):
            self.lanes[name].stop()
        self.lanes["sound"].stop_when_idle()
        self._end_timer.start()

    def _check_end(self) -> None:
        if all(lane.has_stopped for lane in self.lanes.values()) or time.monotonic() > self._deadline:
            self._end_timer.stop()
            self.closed.emit()


def file_name(text: str) -> str:
    """A text as the start of a file name: its first words, without what file systems refuse."""
    words = "".join(c if c.isalnum() or c in " -_'" else " " for c in text).split()
    return " ".join(words)[:48].strip() or "take"


def _follow_filter(dialog: QFileDialog, suffix: str) -> None:
    dialog.setDefaultSuffix(suffix)
    for name in dialog.selectedFiles()[:1]:
        dialog.selectFile(f"{Path(name).stem}.{suffix}")


def _open(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


# --- the process --------------------------------------------------------------------------------------------------


def seconds_since_launch() -> float | None:
    """Seconds since this process began: the interpreter's own start counts. None where it cannot be known.

    From /proc on Linux (in steps of 10 ms); elsewhere from VOICE_T0, the launcher's time.time().
    """
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        launched = os.environ.get("VOICE_T0", "")
        return time.time() - float(launched) if launched else None


def has_display() -> bool:
    """Whether a window could be shown. Qt itself would abort the process where it cannot."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM", "").split(":")[0] in (
        "offscreen",
        "minimal",
        "vnc",
        "linuxfb",
        "eglfs",
    ):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def set_up_log() -> None:
    """Everything of this start goes to the log file; warnings go to stderr too."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    screen = logging.StreamHandler()
    screen.setLevel(logging.CRITICAL)
    handlers: list[logging.Handler] = [screen]
    try:
        path = log_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8"))
    except OSError:
        pass  # a read-only home: the window works all the same
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)


class Hook(QObject):
    """Takes uncaught exceptions of any thread to the GUI thread. PyQt5 aborts the process where there is no hook."""

    raised = pyqtSignal(object)

    def install(self) -> None:
        sys.excepthook = self._on_exception
        threading.excepthook = lambda args: self._on_exception(args.exc_type, args.exc_value, args.exc_traceback)

    def _on_exception(self, kind, error, trace) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QTimer.singleShot(0, QApplication.closeAllWindows)
            return
        log.error("uncaught", exc_info=(kind, error, trace))
        self.raised.emit(error.with_traceback(trace) if error is not None else kind())


def make_application(arguments: list[str] | None = None) -> QApplication:
    """The QApplication, crisp on every screen, in the same style and type size everywhere."""
    existing = QApplication.instance()
    if existing is not None:
        return existing
    QApplication.setAttribute(Qt.AA_EnableHighDpiScaling)
    QApplication.setAttribute(Qt.AA_UseHighDpiPixmaps)
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    application = QApplication(arguments or sys.argv[:1])
    application.setApplicationName("voice-cloning-toolbox")
    application.setApplicationDisplayName("Voice Cloning Toolbox")
    application.setDesktopFileName("voice-cloning-toolbox")
    application.setWindowIcon(QIcon(str(ASSETS / "icons" / "app.svg")))
    application.setQuitOnLastWindowClosed(False)
    set_style(application)
    return application


def set_style(application: QApplication) -> None:
    application.setStyle("Fusion")
    font = QFont(application.font())
    font.setPointSizeF(10.0)
    application.setFont(font)


def build(
    settings: Settings | None = None, folder: Path = PRETRAINED, cloner: Any = None, devices: Any = None
) -> Toolbox:
    """The whole toolbox without showing it or entering the event loop: `.window`, `.workspace`, `.actions`."""
    return Toolbox(make_application(), settings or Settings(), folder, cloner, devices)


def main(arguments: list[str] | None = None) -> int:
    """Runs the toolbox; returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo_toolbox.py", description="Record, compare and clone voices.")
    parser.add_argument("files", nargs="*", type=Path, help="sound files to load")
    parser.add_argument("--pretrained", type=Path, default=PRETRAINED, metavar="FOLDER", help="where the models lie")
    parser.add_argument(
        "--measure-startup", action="store_true", help="print when the window became visible, as JSON, and leave"
    )
    options = parser.parse_args(arguments)
    if not has_display():
        print(
            "The toolbox needs a display and none was found (DISPLAY and WAYLAND_DISPLAY are empty); "
            "demo_cli.py works without one.",
            file=sys.stderr,
        )
        return 1
    if sys.stderr is not None:
        faulthandler.enable()
    set_up_log()
    application = make_application()
    hook = Hook()
    hook.install()
    collector = Collector(application)
    toolbox = build(Settings(), options.pretrained)
    hook.raised.connect(toolbox.show_error)
    toolbox.closed.connect(application.quit)
    signal.signal(signal.SIGINT, lambda *_: toolbox.window.close())
    if options.measure_startup:
        toolbox.window.painted.connect(lambda: print(json.dumps({"window_visible_s": _rounded()}), flush=True))
        toolbox.window.painted.connect(toolbox.window.close)
        toolbox.window.show()
    else:
        toolbox.show()
    if options.files:
        toolbox.actions.voices.load(options.files)
    application.exec_()
    collector.stop()
    if not all(lane.join(0.1) for lane in toolbox.lanes.values()):
        logging.shutdown()
        os._exit(0)  # a worker is stuck in foreign code; the settings are saved, nothing else is at stake
    return 0


def _rounded() -> float | None:
    seconds = seconds_since_launch()
    return None if seconds is None else round(seconds, 3)
