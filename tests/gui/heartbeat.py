"""Runs the real window with the real models and measures how late a 10 ms timer of the GUI thread ever is.

python tests/gui/heartbeat.py PRETRAINED FILE ...   prints one JSON object: stage -> the longest delay in ms.

Where the system tells (Linux), the time in which the GUI thread was ready to run but other processes had the processor
is not counted: that is the machine's doing and not ours. "raw" holds the delays with that time.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as demo_toolbox.py does

from PyQt5.QtCore import QEventLoop, Qt, QTimer  # noqa: E402
from window_fakes import FakeDevices  # noqa: E402

from core.types import SpeakOptions  # noqa: E402
from toolbox import app  # noqa: E402
from toolbox.gentle import Collector  # noqa: E402
from toolbox.settings import Settings  # noqa: E402

TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell."


class Heartbeat:
    """A precise 10 ms timer that keeps the longest time it ever was late."""

    def __init__(self):
        self.timer = QTimer()
        self.timer.setTimerType(Qt.PreciseTimer)
        self.timer.setInterval(10)
        self.timer.timeout.connect(self.beat)
        self.last, self.last_kept = time.perf_counter(), kept_waiting()
        self.worst = self.raw = 0.0
        self.timer.start()

    def beat(self):
        now, kept = time.perf_counter(), kept_waiting()
        late = now - self.last - 0.010
        self.raw = max(self.raw, late)
        self.worst = max(self.worst, late - (kept - self.last_kept))
        self.last, self.last_kept = now, kept

    def take(self):
        """The longest delays since last asked: ours, and the raw one, in ms."""
        self.beat()
        worst, raw = self.worst, self.raw
        self.worst = self.raw = 0.0
        return round(1000 * worst, 1), round(1000 * raw, 1)


def kept_waiting():
    """Seconds the first thread has been ready to run without a processor; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/self/task/{os.getpid()}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def main(folder, files):
    application = app.make_application(["heartbeat"])
    collector = Collector(application)
    toolbox = app.build(Settings(Path(os.environ["XDG_CONFIG_HOME"]) / "heartbeat.ini"), folder, None, FakeDevices())
    loop = QEventLoop()

    def settle():
        """Runs the event loop until no lane has had anything to do for a tenth of a second."""
        quiet = 0

        def look():
            nonlocal quiet
            quiet = 0 if any(lane.jobs for lane in toolbox.lanes.values()) else quiet + 1
            if quiet > 5:
                loop.quit()

        timer = QTimer()
        timer.timeout.connect(look)
        timer.start(20)
        loop.exec_()

    toolbox.window.painted.connect(loop.quit)
    toolbox.window.show()
    loop.exec_()
    heart = Heartbeat()
    stages, raw = {}, {}
    toolbox.start()
    settle()
    stages["load"], raw["load"] = heart.take()
    toolbox.actions.voices.load(files[:1])
    settle()
    stages["embed"], raw["embed"] = heart.take()
    toolbox.actions.voices.load(files[1:])
    settle()
    stages["map"], raw["map"] = heart.take()
    stages["map_method"] = toolbox.workspace.layout.method
    toolbox.actions.speaking.clone(TEXT, 1, SpeakOptions())
    settle()
    stages["speak"], raw["speak"] = heart.take()
    toolbox.actions.speaking.clone(TEXT, 2, SpeakOptions())
    settle()
    stages["speak again"], raw["speak again"] = heart.take()
    stages["takes"] = len(toolbox.workspace.takes)
    stages["raw"] = raw
    stages["notices"] = toolbox.window.notices.texts
    collector.stop()
    print(json.dumps(stages), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
