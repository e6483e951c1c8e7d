"""Three habits of Python that freeze a window from other threads, and what we do about them.

1. Importing torch maps a library of hundreds of megabytes while holding the interpreter lock (0.3 to 0.6 s). The same
   library opened beforehand through a foreign call, which releases the lock, makes that import step a no-op.
2. The cyclic collector walks every object there is, lock held: 0.1 to 0.2 s once torch is in memory. So it runs when
   the window has nothing to do, and never looks again at what an import left behind.
3. A thread that wants the lock waits 5 ms for one that computes, each time anew, and drawing a panel may take a dozen
   such turns. So a turn is 1 ms here.
"""

import ctypes
import gc
import importlib.util
import sys
import time
from pathlib import Path

from PyQt5.QtCore import QObject, QTimer

TORCH_LIBRARIES = ("libc10", "libtorch_cpu", "libtorch", "libtorch_python", "c10", "torch_cpu", "torch_python")


def open_libraries(module: str = "torch", names: tuple[str, ...] = TORCH_LIBRARIES) -> list[Path]:
    """Opens a package's big shared libraries (or the one that the module is) without holding the interpreter lock; call
    it in a worker.

    Returns those that were opened. Whatever goes wrong is left to the import itself, which explains it better.
    """
    spec = importlib.util.find_spec(module)
    if module in sys.modules or spec is None or not spec.origin:
        return []
    folder = Path(spec.origin).parent / "lib"
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    paths = [folder / (name + suffix) for name in names if (folder / (name + suffix)).exists()]
    if not spec.origin.endswith(".py"):
        paths = [Path(spec.origin)]
    try:
        opener = _windows_opener(folder) if sys.platform == "win32" else _posix_opener()
        return [path for path in paths if opener(path)]
    except (OSError, AttributeError):
        return []


def _posix_opener():
    """Calls dlopen as any foreign function is called: ctypes.CDLL(path) would hold the lock."""
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    return lambda path: dlopen(bytes(path), ctypes.DEFAULT_MODE | 2)  # 2: RTLD_NOW, resolve here rather than later


def _windows_opener(folder: Path):
    load = ctypes.WinDLL("kernel32").LoadLibraryExW
    load.restype, load.argtypes = ctypes.c_void_p, [ctypes.c_wchar_p, ctypes.c_void_p, ctypes.c_uint]
    return lambda path: load(str(path), None, 0x1100)  # search the library's own folder and the default ones


class Collector(QObject):
    """Runs the cyclic collector in the GUI thread, a little at a time, and the full one only while it is cheap.

    Shortens the interpreter's turns as long as it lives.
    """

    FULL_EVERY = 30.0  # seconds between full collections
    TURN = 0.001  # seconds
    BUDGET = 0.03  # a full collection that took longer is the last: what is left is frozen

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._was_enabled = gc.isenabled()
        gc.disable()
        self._turn = sys.getswitchinterval()
        sys.setswitchinterval(self.TURN)
        self._last_full = time.monotonic()
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def collect(self) -> None:
        now = time.monotonic()
        if gc.get_count()[0] > 10_000:
            gc.freeze()  # an import or a first fit left this much: it is here to stay, and too long to walk
        elif now - self._last_full > self.FULL_EVERY:
            gc.collect()
            self._last_full = time.monotonic()
            if self._last_full - now > self.BUDGET:
                gc.freeze()
        else:
            gc.collect(0)

    def stop(self) -> None:
        self._timer.stop()
        sys.setswitchinterval(self._turn)
        if self._was_enabled:
            gc.enable()
