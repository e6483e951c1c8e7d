"""The foot of the window: what is being done, how far it is, and the way to stop it."""

from PyQt5.QtCore import Qt, QTimer, pyqtSignal
from PyQt5.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from toolbox.theme import Theme
from toolbox.widgets.parts import ElidedLabel

PATIENCE = 150  # ms before a job is worth a progress bar: shorter ones would only flicker


class JobStrip(QFrame):
    """Shows the oldest job that is waited for. Knows jobs by the signals they have, not by their class."""

    cancel_wanted = pyqtSignal()

    def __init__(self, theme: Theme, parent: QWidget | None = None):
        super().__init__(parent)
        self.setObjectName("job_strip")
        self.setAccessibleName("Progress")
        self._jobs: list = []
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 5, 14, 5)
        row.setSpacing(12)
        self.label = ElidedLabel("Ready")
        self.label.setObjectName("muted")
        self.label.setMinimumHeight(30)
        self.waiting = QLabel()
        self.waiting.setObjectName("muted")
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(260)
        self.bar.setAccessibleName("Progress")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop this at once (Esc)")
        self.cancel.setAccessibleName("Cancel what is being done")
        self.cancel.setFocusPolicy(Qt.TabFocus)
        self.cancel.clicked.connect(self.cancel_wanted)
        self.keys = QLabel("R  record      Space  play or stop      Ctrl+Return  speak      Esc  cancel")
        self.keys.setObjectName("muted")
        row.addWidget(self.label, 1)
        row.addWidget(self.keys)
        row.addWidget(self.waiting)
        row.addWidget(self.bar)
        row.addWidget(self.cancel)
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE)
        self._patience.timeout.connect(self._show_job)
        self._show_job()

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def on_submitted(self, job) -> None:
        """A lane has got a job."""
        if job.quiet:
            return
        self._jobs.append(job)
        job.progressed.connect(lambda fraction, note: self._on_progress(job))
        job.finished.connect(lambda: self._on_finished(job))
        if len(self._jobs) == 1:
            self._patience.start()
        elif not self._patience.isActive():
            self._show_job()

    def _on_finished(self, job) -> None:
        self._jobs.remove(job)
        if not self._jobs:
            self._patience.stop()
        if not self._patience.isActive():
            self._show_job()

    def _on_progress(self, job) -> None:
        if self._jobs and job is self._current() and not self._patience.isActive():
            self._show_job()

    def _current(self):
        return next((job for job in self._jobs if job.running), self._jobs[0])

    def _show_job(self) -> None:
        busy = bool(self._jobs)
        self.keys.setVisible(not busy)
        self.bar.setVisible(busy)
        self.cancel.setVisible(busy)
        self.waiting.setVisible(len(self._jobs) > 1)
        if not busy:
            self.label.set_text("Ready")
            return
        job = self._current()
        self.waiting.setText(f"{len(self._jobs) - 1} more waiting")
        note = f" · {job.note}" if job.note and job.note.lower() not in job.title.lower() else ""
        self.label.set_text(f"{job.title}{note}")
        self.bar.setValue(round(100 * job.fraction))
