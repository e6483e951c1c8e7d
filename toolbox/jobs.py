"""Work beside the window: a Lane is one worker thread and its queue, a Job is one piece of work.

    job = lane.submit("Embedding anna.wav", lambda report: slow(report), verb="embed")
    job.succeeded.connect(show)

The outcome crosses threads once, through one private signal of the lane; the worker never sees a QObject of the job.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PyQt5.QtCore import QObject, Qt, QTimer, pyqtSignal, pyqtSlot

from core.progress import Cancelled, Report

Work = Callable[[Report], Any]

_PROGRESS_INTERVAL = 0.04  # seconds between two notes of the same percent


@dataclass
class _Task:
    """What the worker knows of a job: plain values only."""

    id: int
    work: Work | None
    cancelled: threading.Event = field(default_factory=threading.Event)


class Job(QObject):
    """One piece of work. Ends in the GUI thread with exactly one of succeeded, failed, cancelled; then finished."""

    started = pyqtSignal()
    progressed = pyqtSignal(float, str)
    succeeded = pyqtSignal(object)
    failed = pyqtSignal(object)  # the exception
    cancelled = pyqtSignal()
    finished = pyqtSignal()

    def __init__(self, title: str, task: _Task, verb: str | None, quiet: bool, parent: QObject):
        super().__init__(parent)
        self.title = title
        self.verb = verb
        self.quiet = quiet  # background work that nobody waits for: not shown, not counted
        self.done = False
        self.running = False
        self.fraction, self.note = 0.0, ""
        self._task = task

    def cancel(self) -> None:
        """Ends the job now; the worker leaves at its next report, and what it still says is not heard."""
        self._task.cancelled.set()
        self._end("cancelled", None)

    def _progress(self, fraction: float, note: str) -> None:
        if not self.done:
            self.fraction, self.note = fraction, note
            self.progressed.emit(fraction, note)

    def _begin(self) -> None:
        if not self.done:
            self.running = True
            self.started.emit()

    def _end(self, kind: str, value: Any) -> None:
        if self.done:
            return
        self.done, self.running = True, False
        if kind == "succeeded":
            self.succeeded.emit(value)
        elif kind == "failed":
            self.failed.emit(value)
        else:
            self.cancelled.emit()
        self.finished.emit()


class Lane(QObject):
    """One worker thread, one queue: what runs here never runs at the same time. `submit` from the GUI thread only."""

    submitted = pyqtSignal(object)  # Job
    stopped = pyqtSignal()  # the worker has left; nothing of this lane runs any more
    _said = pyqtSignal(int, str, object)  # task id, what, value

    _ids = itertools.count(1)

    def __init__(self, name: str, parent: QObject | None = None):
        super().__init__(parent)
        self.name = name
        self.jobs: dict[int, Job] = {}
        self.has_stopped = False
        self._stopping = False
        self._queue: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._said.connect(self._on_said, Qt.QueuedConnection)
        self._thread = threading.Thread(target=_run, args=(self._queue, self._said.emit), name=name, daemon=True)
        self._thread.start()

    def submit(self, title: str, work: Work, verb: str | None = None, quiet: bool = False) -> Job:
        """Queues `work(report)`. A job of the same verb that has not ended is cancelled.

        In a lane that has been stopped the job ends as cancelled, without having run.
        """
        for older in list(self.jobs.values()):
            if verb is not None and older.verb == verb:
                older.cancel()
        task = _Task(next(self._ids), work)
        job = Job(title, task, verb, quiet, self)
        self.jobs[task.id] = job
        job.finished.connect(lambda: self._forget(task.id))
        if self._stopping:
            QTimer.singleShot(0, job.cancel)  # once the caller has connected to it
            return job
        self.submitted.emit(job)
        self._queue.put(task)
        return job

    def cancel_all(self) -> None:
        for job in list(self.jobs.values()):
            job.cancel()

    def stop(self) -> None:
        """Cancels everything; `stopped` comes when the worker has left."""
        if not self._stopping:
            self._stopping = True
            self.cancel_all()
            self._queue.put(None)

    def join(self, seconds: float) -> bool:
        """Waits for the worker to leave; for the end of the process and for tests, never while the window lives."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _forget(self, id: int) -> None:
        job = self.jobs.pop(id, None)
        if job is not None:
            job.deleteLater()

    @pyqtSlot(int, str, object)
    def _on_said(self, id: int, what: str, value: Any) -> None:
        if what == "stopped":
            self.has_stopped = True
            self.stopped.emit()
            return
        job = self.jobs.get(id)
        if job is None:
            return  # cancelled meanwhile
        if what == "started":
            job._begin()
        elif what == "progress":
            job._progress(*value)
        else:
            job._end(what, value)


def _run(tasks: "queue.SimpleQueue[_Task | None]", say: Callable[[int, str, Any], None]) -> None:
    """The worker: one task after the other, until None comes."""
    while True:
        task = tasks.get()
        if task is None:
            break
        if not task.cancelled.is_set():
            say(task.id, "started", None)
            try:
                outcome = ("succeeded", task.work(_reporter(task, say)))
            except Cancelled:
                outcome = ("cancelled", None)
            except BaseException as error:  # everything surfaces: the GUI thread decides what it means
                outcome = ("failed", error)
            say(task.id, *outcome)
            del outcome
        task.work = None
        del task  # the closure may hold big values; the queue may be quiet for long
    say(0, "stopped", None)


def _reporter(task: _Task, say: Callable[[int, str, Any], None]) -> Report:
    """The report of one task: raises Cancelled, and passes on steps of 1 % and, now and then, new notes."""
    last_percent, last_note, last_time = -1, "", 0.0

    def report(fraction: float, note: str = "") -> None:
        nonlocal last_percent, last_note, last_time
        if task.cancelled.is_set():
            raise Cancelled
        percent = int(100 * min(max(fraction, 0.0), 1.0))
        now = time.monotonic()
        if percent != last_percent or (note != last_note and now - last_time > _PROGRESS_INTERVAL):
            last_percent, last_note, last_time = percent, note, now
            say(task.id, "progress", (percent / 100, note))

    return report
