"""Microphones and loudspeakers: what there is, a Recorder, a Player fed while it plays.

Their callbacks run in PortAudio's thread: they take no lock and copy, nothing else.
"""

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.audio import portaudio
from core.audio.portaudio import Device, input_devices, output_devices
from core.audio.transform import peak_db, resample, rms_db, to_mono
from core.errors import DeviceError
from core.types import Waveform

__all__ = ["Device", "Level", "Player", "Recorder", "input_devices", "output_devices"]

LATENCY = 0.1  # seconds: short enough for the hand, long enough for a busy interpreter
MARGIN = 0.05  # seconds: how wrong a device may be about when it is heard
STALLED = 3.0  # seconds without a callback after which a device counts as gone
CLIPPED_DB = -0.01


@dataclass(frozen=True)
class Level:
    """How loud the microphone was since it was last asked, in dB of full scale."""

    rms_db: float
    peak_db: float
    clipped: bool


class _Stream:
    """What a recorder and a player share: opening with fallbacks, noticing that the device went away, closing."""

    direction = "input"
    thing = "microphone"

    def __init__(self, device: Device | int | None = None):
        self.device = device
        self.error: DeviceError | None = None
        self._stream: Any = None
        self._over = threading.Event()  # PortAudio calls us no more
        self._expected = False  # ... because we asked for it
        self._heard = 0.0  # time of the last callback

    def _is_over(self) -> bool:
        """Whether nothing more will come, or go; sets `error` where the device went away. Waits for nothing."""
        if self._stream is None:
            return True
        if not self._over.is_set() and time.monotonic() - self._heard < STALLED:
            return False
        if not self._expected and self.error is None:
            message = f"The {self.thing} {self._name} went away."
            self.error = DeviceError(message, "Plug it in again, or choose another.")
        return True

    def close_if_over(self) -> None:
        """Lets go of a device that is not used any more."""
        with portaudio.lock:
            if self._is_over():
                self._close()

    def _close(self) -> None:
        with portaudio.lock:
            stream, self._stream = self._stream, None
            self._expected = True
            portaudio.open_streams.discard(self)
            if stream is None:
                return
            sounddevice = portaudio.sounddevice()
            try:
                stream.abort(ignore_errors=True)
                stream.close(ignore_errors=True)
            except sounddevice.PortAudioError:  # the device is gone, and with it what there was to close
                pass

    def _open(self, rates: list[int], callback: Any) -> tuple[int, int]:
        """Starts the stream at the first rate (0: the device's own) and channel count it takes; returns both."""
        with portaudio.lock:
            sounddevice = portaudio.sounddevice()
            info, index = self._find(sounddevice)
            self._name = info["name"]
            most = info[f"max_{self.direction}_channels"]
            own = round(info["default_samplerate"])
            make = sounddevice.InputStream if self.direction == "input" else sounddevice.OutputStream
            problem: Exception | None = None
            for rate in dict.fromkeys(rate or own for rate in rates):
                for channels in dict.fromkeys((min(2, most), 1, most)):
                    stream = None
                    self._over.clear()
                    self._expected = False
                    self._heard = time.monotonic()
                    try:
                        stream = make(
                            samplerate=rate,
                            channels=channels,
                            device=index,
                            dtype="float32",
                            latency=LATENCY,
                            callback=callback(rate, channels),
                            finished_callback=self._over.set,
                        )
                        stream.start()
                    except (sounddevice.PortAudioError, ValueError) as error:
                        problem = problem or error
                        if stream is not None:
                            stream.close(ignore_errors=True)
                        continue
                    self._stream = stream
                    portaudio.open_streams.add(self)
                    return rate, channels
            raise DeviceError(
                f"The {self.thing} {self._name} cannot be used: {_reason(problem)}.",
                "Another program may be using it: close that, or choose another device.",
            ) from problem

    def _find(self, sounddevice: Any) -> tuple[dict, int]:
        """PortAudio's description of the wanted device and its present index. Raises DeviceError."""
        wanted = self.device
        try:
            if isinstance(wanted, Device):
                hostapis = sounddevice.query_hostapis()
                for index, info in enumerate(sounddevice.query_devices()):
                    here = info[f"max_{self.direction}_channels"] and hostapis[info["hostapi"]]["name"]
                    if (info["name"], here) == (wanted.name, wanted.hostapi):
                        return info, index
                raise DeviceError(f"The {self.thing} {wanted.name} is gone.", "Plug it in again, or choose another.")
            info = sounddevice.query_devices(wanted, self.direction)
            return info, info["index"]
        except (sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(f"There is no {self.thing}.", f"Plug one in, or {_advice()}.") from error


class Recorder(_Stream):
    """Records what a microphone hears, at its own rate, for at most `max_seconds`; may be started again."""

    def __init__(self, device: Device | int | None = None, max_seconds: float = 60):
        super().__init__(device)
        self.max_seconds = max_seconds
        self._sample_rate = 16000
        self._buffer = np.zeros((0, 1), np.float32)
        self._count = 0
        self._asked = 0

    def start(self) -> None:
        """Begins to record; nothing happens when it does already. Raises DeviceError, and may be tried again."""
        if self.running:
            return
        self._close()
        self.error = None
        self._count = self._asked = 0
        self._buffer = np.zeros((0, 1), np.float32)

        def callback_for(rate: int, channels: int) -> Any:
            stop = portaudio.sounddevice().CallbackStop
            buffer = np.zeros((int(self.max_seconds * rate), channels), np.float32)
            self._buffer = buffer

            def callback(data: np.ndarray, frames: int, _time: Any, _status: Any) -> None:
                self._heard = time.monotonic()
                count = self._count
                n = min(frames, len(buffer) - count)
                buffer[count : count + n] = data[:n]
                self._count = count + n
                if n < frames:
                    self._expected = True
                    raise stop

            return callback

        self._sample_rate, _ = self._open([0, 48000, 44100, 16000], callback_for)

    @property
    def running(self) -> bool:
        """False as well once `max_seconds` are full or the device went away. Waits for nothing; `stop` closes."""
        return not self._is_over()

    @property
    def elapsed(self) -> float:
        """Seconds recorded so far."""
        return self._count / self._sample_rate

    def level(self) -> Level:
        """Of what came since the last call (at least the last 50 ms), loudest channel. Cheap: ask 20 times a second."""
        count = self._count
        start = max(0, min(self._asked, count - self._sample_rate // 20))
        self._asked = count
        recent = self._buffer[start:count]
        if not len(recent):
            return Level(rms_db(recent[:, 0]), peak_db(recent), False)
        peak = peak_db(recent)
        return Level(max(rms_db(channel) for channel in recent.T), peak, peak >= CLIPPED_DB)

    def stop(self) -> Waveform:
        """Ends the recording. What was recorded, mono, at the device's own rate; of no samples if nothing was."""
        self.close_if_over()
        self._close()
        recorded = np.nan_to_num(self._buffer[: self._count])
        return Waveform(to_mono(recorded), self._sample_rate)


class Player(_Stream):
    """Plays what it is fed, from any thread, while it plays: silence where the next piece is late, nothing skipped."""

    direction = "output"
    thing = "loudspeaker"

    def __init__(self, device: Device | int | None = None):
        super().__init__(device)
        self._reset(16000)

    def _reset(self, sample_rate: int) -> None:
        self._pieces: deque[np.ndarray] = deque()
        self._complete = False  # no more is coming
        self._fed_rate = self._rate = sample_rate
        self._resampler: Any = None
        self._feeding = threading.Lock()
        self._moments: deque[tuple[float, int, int]] = deque(maxlen=64)  # heard at, first frame, frames
        self._end: float | None = None  # when the last sample is heard, once that is known
        self._position = 0.0

    def start(self, sample_rate: int) -> None:
        """Opens the loudspeaker for sound of this rate, and begins to play what is fed. Raises DeviceError.

        A device that refuses the rate gets its own rate, the sound resampled on its way. Ends what still plays.
        """
        self.stop()
        self.error = None
        self._reset(sample_rate)
        self._rate, _ = self._open([sample_rate, 0, 48000, 44100], self._callback_for)
        if self._rate != sample_rate:
            import soxr

            self._resampler = soxr.ResampleStream(sample_rate, self._rate, 1, dtype="float32")

    def feed(self, waveform: Waveform, last: bool = False) -> None:
        """Appends sound, of any rate. Into a player that was stopped it vanishes: its maker may not know yet."""
        with self._feeding:
            if self._stream is None or self._complete:
                return
            samples = resample(waveform, self._fed_rate).samples
            if self._resampler is not None:  # one resampler for all pieces, so that their seams do not click
                samples = self._resampler.resample_chunk(samples, last=last)
            if len(samples):
                self._pieces.append(samples)
            self._complete = last

    def finish(self) -> None:
        """Says that no more is coming: `playing` becomes False when all has been heard."""
        self.feed(Waveform(np.zeros(0), self._fed_rate), last=True)

    def stop(self) -> None:
        """Silence within 50 ms. What was fed and not heard is dropped."""
        self.close_if_over()
        self.position  # noqa: B018  remember where it was
        self._pieces.clear()
        self._close()
        self._moments.clear()

    def _is_over(self) -> bool:
        # Not left to PortAudio: on ALSA, a stream that its callback ends loses what the device still holds.
        if self._end is not None and time.monotonic() > self._end + MARGIN:
            self._expected = True
            return True
        return super()._is_over()

    @property
    def playing(self) -> bool:
        """From `start` until all has been heard after `finish`, until `stop`, or until the device went away.

        Like `position`, it waits for nothing. `stop` lets go of the device.
        """
        return not self._is_over()

    @property
    def position(self) -> float:
        """Seconds of the fed sound that have been heard; waits while there is nothing to play, never goes back."""
        now = time.monotonic()
        for heard_at, first, frames in reversed(list(self._moments)):
            if heard_at <= now:
                heard = first + min(frames, (now - heard_at) * self._rate)
                self._position = max(self._position, heard / self._rate)
                break
        return self._position

    def _callback_for(self, rate: int, channels: int) -> Any:
        stop = portaudio.sounddevice().CallbackStop
        pieces, moments = self._pieces, self._moments
        piece, offset, played = np.zeros(0, np.float32), 0, 0

        def callback(out: np.ndarray, frames: int, when: Any, _status: Any) -> None:
            nonlocal piece, offset, played
            self._heard = now = time.monotonic()
            out.fill(0)
            complete = self._complete  # before the queue is looked at: it is set after the last piece
            done = 0
            while done < frames:
                if offset == len(piece):
                    if not pieces:
                        break
                    piece, offset = pieces.popleft(), 0
                n = min(frames - done, len(piece) - offset)
                out[done : done + n] = piece[offset : offset + n, None]
                done, offset = done + n, offset + n
            delay = when.outputBufferDacTime - when.currentTime
            moments.append((now + (delay if 0 < delay < 1 else LATENCY), played, done))
            played += done
            if complete and done < frames and not pieces:
                if self._end is None:
                    self._end = moments[-1][0] + done / rate
                elif now > self._end + 1:  # nobody asks any more
                    self._expected = True
                    raise stop

        return callback


def _reason(error: Exception | None) -> str:
    text = str(error).split("[PaErrorCode")[0].split(": ", 1)[-1].strip().rstrip(".")
    unhelpful = not text or "host error" in text
    return "it does not answer" if unhelpful else text[:1].lower() + text[1:]


def _advice() -> str:
    return {
        "darwin": "allow it in System Settings, Privacy, Microphone",
        "win32": "allow it in Settings, Privacy, Microphone",
    }.get(sys.platform, "check the sound settings of the system")
