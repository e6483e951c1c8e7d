"""The recorder: which microphone, whose voice, how loud, how long."""

from PyQt5.QtCore import QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QPainter
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from toolbox.theme import Theme
from toolbox.widgets.parts import Card, Choice, icon_button

FLOOR_DB = -60.0
CLIP_SECONDS = 2.0
PEAK_FALL = 1.2  # dB per look at the level


class LevelMeter(QWidget):
    """A bar from -60 to 0 dB with the latest peak on it, and a light at its end for sound that was cut off."""

    def __init__(self, theme: Theme, parent: QWidget | None = None):
        super().__init__(parent)
        self._theme = theme
        self.rms_db = self.peak_db = FLOOR_DB
        self.clipping = False
        self._clip_timer = QTimer(self, singleShot=True, interval=int(1000 * CLIP_SECONDS))
        self._clip_timer.timeout.connect(self._clip_over)
        self.setMinimumHeight(14)
        self.setAccessibleName("Input level")
        self.setToolTip("Input level, -60 to 0 dB. The light at the end turns red when the sound is too loud.")
        theme.changed.connect(lambda dark: self.update())

    def sizeHint(self) -> QSize:
        return QSize(120, 14)

    def set_level(self, rms_db: float, peak_db: float, clipped: bool) -> None:
        self.rms_db = max(rms_db, FLOOR_DB)
        self.peak_db = max(peak_db, self.peak_db - PEAK_FALL, FLOOR_DB)
        if clipped:
            self.clipping = True
            self._clip_timer.start()
        spoken = "clipping" if self.clipping else f"{self.rms_db:.0f} dB"
        self.setAccessibleDescription(spoken)
        self.update()

    def reset(self) -> None:
        self.rms_db = self.peak_db = FLOOR_DB
        self._clip_over()

    def _clip_over(self) -> None:
        self.clipping = False
        self.update()

    def paintEvent(self, event) -> None:
        c = self._theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(Qt.NoPen)
        light = 10.0
        width, middle = self.width() - light - 6, self.height() / 2
        bar = QRectF(0, middle - 3, width, 6)
        painter.setBrush(QColor(c["track"]))
        painter.drawRoundedRect(bar, 3, 3)

        def at(db: float) -> float:
            return width * (1 - db / FLOOR_DB)

        if self.rms_db > FLOOR_DB:
            painter.setBrush(QColor(c["good"] if self.rms_db < -9 else c["warning"]))
            painter.drawRoundedRect(QRectF(0, middle - 3, max(at(self.rms_db), 6), 6), 3, 3)
        if self.peak_db > FLOOR_DB:
            painter.setBrush(QColor(c["muted"]))
            painter.drawRoundedRect(QRectF(min(at(self.peak_db), width - 2), middle - 5, 2, 10), 1, 1)
        painter.setBrush(QColor(c["danger"] if self.clipping else c["track"]))
        painter.drawEllipse(QRectF(self.width() - light, middle - light / 2, light, light))


class RecordPanel(Card):
    """Emits what is wanted; shows what `toolbox.sound` says."""

    record_wanted = pyqtSignal(str)  # speaker's name; again to stop
    speaker_changed = pyqtSignal(str)
    input_chosen = pyqtSignal(str)  # device name, "" for the system's default
    refresh_wanted = pyqtSignal()

    def __init__(self, theme: Theme, max_seconds: float = 60.0, parent: QWidget | None = None):
        super().__init__("Record", parent)
        self._theme = theme
        self._max_seconds = max_seconds
        self.refresh = icon_button(theme, "refresh", "Look for microphones again", colour="muted")
        self.refresh.clicked.connect(self.refresh_wanted)
        self.header.addWidget(self.refresh)
        self.device = Choice("Microphone", "The microphone to record from")
        self.device.activated.connect(lambda i: self.input_chosen.emit(self.device.itemData(i) or ""))
        self.body.addWidget(self.device)
        self.speaker = QLineEdit()
        self.speaker.setPlaceholderText("Whose voice?")
        self.speaker.setAccessibleName("Speaker's name")
        self.speaker.setToolTip("The name of the person who speaks. It can be changed later.")
        self.speaker.returnPressed.connect(lambda: self.button.click())
        self.speaker.textChanged.connect(self.speaker_changed)
        self.button = QPushButton("Record")
        self.button.setMinimumWidth(104)
        self.button.setFocusPolicy(Qt.TabFocus)
        self.button.clicked.connect(lambda: self.record_wanted.emit(self.speaker.text()))
        row = QHBoxLayout()
        row.addWidget(self.speaker, 1)
        row.addWidget(self.button)
        self.body.addLayout(row)
        self.meter = LevelMeter(theme)
        self.time = QLabel()
        self.time.setObjectName("muted")
        self.time.setMinimumWidth(76)
        self.time.setAlignment(Qt.AlignRight | Qt.AlignVCenter)
        self.time.setToolTip("Recorded time, and how long a recording may get")
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self.meter, 1)
        row.addWidget(self.time)
        self.body.addLayout(row)
        self.state = ""
        self.on_state("idle")

    def set_speaker(self, name: str) -> None:
        self.speaker.setText(name)

    def set_inputs(self, devices: list, chosen: str) -> None:
        """The microphones there are; `chosen` stays in the list, marked, while it is unplugged."""
        self.device.clear()
        if devices:
            default = next((d.name for d in devices if d.is_default), "")
            self.device.addItem(f"System default ({default})" if default else "System default", "")
            for device in devices:
                self.device.addItem(device.name, device.name)
                tip = f"{device.name} · {device.hostapi} · {device.sample_rate:g} Hz"
                self.device.setItemData(self.device.count() - 1, tip, Qt.ToolTipRole)
            if chosen and chosen not in [device.name for device in devices]:
                self.device.addItem(f"{chosen} (not connected)", chosen)
            self.device.setCurrentIndex(max(self.device.findData(chosen), 0))
        else:
            self.device.addItem("No microphone found", "")
        self._enable()

    def on_state(self, state: str) -> None:
        """state: "idle", "opening", "recording" or "closing"."""
        if state == self.state:
            return
        self.state = state
        recording = state in ("opening", "recording")
        self.button.setText("Stop" if recording else "Record")
        self.button.setToolTip("Stop recording (R or Space)" if recording else "Record a voice (R), up to a minute")
        self.button.setAccessibleName("Stop recording" if recording else "Record")
        self._theme.set_icon(self.button, "stop" if recording else "record", "danger")
        if state == "opening":
            self.speaker.clearFocus()  # so that Space and R stop the recording rather than lengthen the name
            self.meter.reset()
            self._show_time(0.0)
        if state == "idle":
            self.meter.reset()
            self._show_time(0.0)
        self._enable()

    def on_level(self, level, seconds: float) -> None:
        self.meter.set_level(level.rms_db, level.peak_db, level.clipped)
        self._show_time(seconds)

    def _show_time(self, seconds: float) -> None:
        whole, most = int(seconds), int(self._max_seconds)
        self.time.setText(f"{whole // 60}:{whole % 60:02d} / {most // 60}:{most % 60:02d}")

    def _enable(self) -> None:
        self.device.setEnabled(self.state == "idle" and self.device.count() > 1)
        self.button.setEnabled(self.state != "closing")
