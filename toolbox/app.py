"""The process: display, log, error hook, event loop. Everything heavy is imported in a worker."""

import argparse
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from PyQt5.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QFont, QIcon
from PyQt5.QtWidgets import QApplication

from core.inference.registry import PRETRAINED
from toolbox.gentle import Collector
from toolbox.settings import Settings, log_path
from toolbox.theme import ASSETS
from toolbox.wiring import Toolbox

log = logging.getLogger("toolbox")


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
        toolbox.load_when_ready(options.files)
    application.exec_()
    collector.stop()
    if not all(lane.join(0.1) for lane in toolbox.lanes.values()):
        logging.shutdown()
        os._exit(0)  # a worker is stuck in foreign code; the settings are saved, nothing else is at stake
    return 0


def _rounded() -> float | None:
    seconds = seconds_since_launch()
    return None if seconds is None else round(seconds, 3)
