"""Microphone and loudspeaker for the window: opened, closed and listed in a lane of their own, never in the GUI thread.

Opening a stream may take a tenth of a second, finding the devices several; both would be seen.
"""

import threading
from typing import Any

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from core.audio.transform import fade
from core.errors import DeviceError, VoiceError
from core.types import Waveform
from toolbox.jobs import Lane

MAX_SECONDS = 60.0
LEVEL_INTERVAL = 50  # ms between two looks at the level meter
POSITION_INTERVAL = 33  # ms between two places of the playhead
CUT_FADE = 0.004  # seconds at either end of a part that is played alone


class Stream:
    """Sound that is heard while it is still being made. `feed` and `finish` may be called from any thread."""

    def __init__(self, player: Any):
        self.player = player
        self.start = 0.0  # where in the whole the first sample lies, in seconds
        self._lock = threading.Lock()
        self._waiting: list[Waveform] = []
        self._open = self._ended = self._stopped = False

    def feed(self, waveform: Waveform) -> None:
        with self._lock:
            if self._stopped:
                return
            if self._open:
                self.player.feed(waveform)
            else:
                self._waiting.append(waveform)

    def finish(self) -> None:
        """No more is coming: the player ends when what it has is heard."""
        with self._lock:
            self._ended = True
            if self._open and not self._stopped:
                self.player.finish()

    def open(self, sample_rate: int) -> None:
        """Opens the loudspeaker (slow) and passes on what came meanwhile. Raises DeviceError."""
        if self._stopped:
            return
        self.player.start(sample_rate)
        with self._lock:
            self._open = True
            for waveform in self._waiting:
                self.player.feed(waveform)
            self._waiting.clear()
            if self._ended:
                self.player.finish()

    def stop(self) -> None:
        """Silence, at once. Slow on some systems: call it in the sound lane."""
        with self._lock:
            self._stopped = True
            was_open, self._open = self._open, False
        if was_open:
            self.player.stop()

    @property
    def is_open(self) -> bool:
        return self._open


class Devices:
    """The real sound card, imported when first used. Tests put a stand-in of the same four methods in its place."""

    def inputs(self) -> list:
        from core.audio import device

        return device.input_devices()

    def outputs(self) -> list:
        from core.audio import device

        return device.output_devices()

    def recorder(self, chosen: Any, max_seconds: float) -> Any:
        from core.audio import device

        return device.Recorder(chosen, max_seconds)

    def player(self, chosen: Any) -> Any:
        from core.audio import device

        return device.Player(chosen)


class Sound(QObject):
    """Records and plays. One recording and one playback at a time; a new playback stops the one before."""

    devices_changed = pyqtSignal()
    recording_changed = pyqtSignal(str)  # "idle", "opening", "recording" or "closing"
    level = pyqtSignal(object, float)  # core.audio.device.Level, seconds recorded
    recorded = pyqtSignal(object)  # Waveform
    playback_started = pyqtSignal(str)  # key of what is heard
    position = pyqtSignal(float)  # seconds heard
    playback_stopped = pyqtSignal(str)
    failed = pyqtSignal(object)  # DeviceError or another exception

    def __init__(self, lane: Lane, devices: Any = None, parent: QObject | None = None):
        super().__init__(parent)
        self.lane = lane
        self.devices = devices or Devices()
        self.inputs: list = []
        self.outputs: list = []
        self.input_name = ""  # "" is the system's default; names outlive the numbers of a replugged device
        self.output_name = ""
        self.known = False  # whether the devices have been looked for
        self.state = "idle"
        self._recorder: Any = None
        self._stream: Stream | None = None
        self._key = ""
        self._level_timer = QTimer(self, interval=LEVEL_INTERVAL)
        self._level_timer.timeout.connect(self._look_at_level)
        self._position_timer = QTimer(self, interval=POSITION_INTERVAL)
        self._position_timer.timeout.connect(self._look_at_position)

    # --- devices ------------------------------------------------------------------------------------------------

    def refresh_devices(self) -> None:
        """Looks for devices that came or went; not while one is in use, which a fresh look would cut off."""
        looking = any(job.verb == "devices" for job in self.lane.jobs.values())
        if looking or self.state != "idle" or self._stream is not None:
            return

        def look(report):
            try:
                return self.devices.inputs(), self.devices.outputs()
            except VoiceError:
                return [], []

        job = self.lane.submit("Looking for sound devices", look, verb="devices", quiet=True)
        job.succeeded.connect(self._on_devices)
        job.failed.connect(self.failed.emit)

    def _on_devices(self, found: tuple[list, list]) -> None:
        changed = not self.known or _names(found) != _names((self.inputs, self.outputs))
        self.inputs, self.outputs = found
        self.known = True
        if changed:
            self.devices_changed.emit()

    @property
    def missing_input(self) -> str:
        """The name of the chosen microphone where it is not there, else ""."""
        there = any(device.name == self.input_name for device in self.inputs)
        return "" if there or not self.inputs else self.input_name

    @staticmethod
    def _named(devices: list, name: str) -> Any:
        """The device of that name, or None for the system's default."""
        return next((device for device in devices if device.name == name), None)

    # --- recording ----------------------------------------------------------------------------------------------

    def start_recording(self) -> None:
        if self.state != "idle":
            return
        self.stop()
        self._set_state("opening")

        def begin(report):
            recorder = self.devices.recorder(self._named(self.inputs, self.input_name), MAX_SECONDS)
            recorder.start()
            return recorder

        job = self.lane.submit("Opening the microphone", begin, quiet=True)
        job.succeeded.connect(self._on_recording)
        job.failed.connect(self._on_recording_failed)

    def _on_recording(self, recorder: Any) -> None:
        self._recorder = recorder
        if self.state == "closing":  # stopped before it had begun
            self._close_recorder()
        else:
            self._set_state("recording")
            self._level_timer.start()

    def _on_recording_failed(self, error: BaseException) -> None:
        self._recorder = None
        self._level_timer.stop()
        self._set_state("idle")
        self.failed.emit(error)

    def _look_at_level(self) -> None:
        recorder = self._recorder
        self.level.emit(recorder.level(), recorder.elapsed)
        if recorder.error is not None or not recorder.running:
            self.stop_recording()

    def stop_recording(self) -> None:
        """Ends the recording; `recorded` brings what was heard, also of a device that was unplugged meanwhile."""
        if self.state == "recording":
            self._set_state("closing")
            self._close_recorder()
        elif self.state == "opening":
            self._set_state("closing")

    def _close_recorder(self) -> None:
        self._level_timer.stop()
        recorder, self._recorder = self._recorder, None

        def end(report):
            error = recorder.error
            return recorder.stop(), error

        job = self.lane.submit("Closing the microphone", end, quiet=True)
        job.succeeded.connect(self._on_recorded)
        job.failed.connect(self._on_recording_failed)

    def _on_recorded(self, outcome: tuple[Waveform, DeviceError | None]) -> None:
        waveform, error = outcome
        self._set_state("idle")
        if error is not None:
            self.failed.emit(error)
        self.recorded.emit(waveform)

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.recording_changed.emit(state)

    # --- playback -----------------------------------------------------------------------------------------------

    def play(self, key: str, waveform: Waveform, start: float = 0.0, stop: float | None = None) -> None:
        """Plays something that exists, from `start` seconds on; up to `stop`, faded so that the cuts do not click."""
        stream = self.stream(key, waveform.sample_rate)
        stream.start = start
        if start > 0 or stop is not None:
            first, last = (None if at is None else round(at * waveform.sample_rate) for at in (start, stop))
            waveform = Waveform(waveform.samples[first:last], waveform.sample_rate)
        stream.feed(waveform if stop is None else fade(waveform, CUT_FADE))
        stream.finish()

    def stream(self, key: str, sample_rate: int) -> Stream:
        """A playback that is fed from a worker. Heard as soon as the first chunk comes."""
        self.stop()
        stream = Stream(self.devices_player())
        self._stream, self._key = stream, key
        job = self.lane.submit("Opening the loudspeaker", lambda report: stream.open(sample_rate), quiet=True)
        job.failed.connect(lambda error: self._on_playback_failed(stream, error))
        self._position_timer.start()
        self.playback_started.emit(key)
        return stream

    def devices_player(self) -> Any:
        """A player, made in the lane when it is opened: making one may import the sound library."""
        return _LatePlayer(lambda: self.devices.player(self._named(self.outputs, self.output_name)))

    def _on_playback_failed(self, stream: Stream, error: BaseException) -> None:
        if stream is self._stream:
            self._end_playback()
        stream.stop()
        self.failed.emit(error)

    def rename_stream(self, stream: Stream, key: str) -> None:
        """What is heard has got its name while it was being made."""
        if stream is self._stream and self._key != key:
            self._key = key
            self.playback_started.emit(key)

    def stop_stream(self, stream: Stream) -> None:
        """Stops this playback, unless another has taken its place."""
        if stream is self._stream:
            self.stop()

    def stop(self) -> None:
        """Stops what is heard, if anything."""
        stream = self._stream
        if stream is not None:
            self._end_playback()
            self.lane.submit("Closing the loudspeaker", lambda report: stream.stop(), quiet=True)

    @property
    def playing(self) -> bool:
        return self._stream is not None

    def _look_at_position(self) -> None:
        stream = self._stream
        if stream is None or not stream.is_open:
            return
        if stream.player.error is not None:
            error = stream.player.error
            self.stop()
            self.failed.emit(error)
        elif not stream.player.playing:
            self.stop()
        else:
            self.position.emit(stream.start + stream.player.position)

    def _end_playback(self) -> None:
        self._position_timer.stop()
        key, self._stream, self._key = self._key, None, ""
        self.playback_stopped.emit(key)


class _LatePlayer:
    """A player that comes to be when it is started."""

    def __init__(self, make):
        self._make = make
        self._player = None

    def start(self, sample_rate: int) -> None:
        self._player = self._make()
        self._player.start(sample_rate)

    def __getattr__(self, name: str):
        return getattr(self._player, name)


def _names(found: tuple[list, list]) -> list:
    return [[device.name for device in devices] for devices in found]
