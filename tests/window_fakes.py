"""A sound card and models that need nothing but memory, for tests of the window."""

import json
import struct
import threading
from dataclasses import dataclass

import numpy as np

from core.errors import DeviceError
from core.inference.registry import Card
from core.types import PROJECT_MEL, Waveform


@dataclass(frozen=True)
class FakeDevice:
    index: int
    name: str
    hostapi: str = "fake"
    sample_rate: float = 44100.0
    channels: int = 1
    is_default: bool = False


@dataclass(frozen=True)
class FakeLevel:
    rms_db: float
    peak_db: float
    clipped: bool


class FakeRecorder:
    """Has heard `waveform` the moment it is started."""

    def __init__(self, waveform):
        self.waveform = waveform
        self.error = None
        self.running = False
        self.started = threading.Event()

    def start(self):
        self.running = True
        self.started.set()

    def level(self):
        return FakeLevel(-20.0, -0.1, True)

    @property
    def elapsed(self):
        return self.waveform.seconds

    def stop(self):
        self.running = False
        return self.waveform


class FakePlayer:
    """Keeps what it is fed; `heard` is how far it is, moved by the test."""

    def __init__(self):
        self.fed = []
        self.error = None
        self.position = 0.0
        self.ended = self.stopped = False
        self.playing = False
        self.first = threading.Event()

    def start(self, sample_rate):
        self.sample_rate = sample_rate
        self.playing = True

    def feed(self, waveform):
        self.fed.append(waveform)
        self.first.set()

    def finish(self):
        self.ended = True

    def stop(self):
        self.stopped = True
        self.playing = False

    @property
    def samples(self):
        return np.concatenate([w.samples for w in self.fed])


class FakeDevices:
    """A sound card with two microphones and a loudspeaker. Set `missing` to pull it out of the machine."""

    def __init__(self):
        self.missing = False
        self.microphones = [FakeDevice(0, "Built-in", is_default=True), FakeDevice(1, "USB microphone")]
        self.recording = tone()
        self.recorders, self.players, self.chosen = [], [], []

    def inputs(self):
        return [] if self.missing else list(self.microphones)

    def outputs(self):
        return [] if self.missing else [FakeDevice(2, "Loudspeaker", is_default=True)]

    def recorder(self, chosen, max_seconds):
        if self.missing:
            raise DeviceError("There is no microphone.", "Plug one in, or load a sound file.")
        self.chosen.append(chosen)
        self.recorders.append(FakeRecorder(self.recording))
        return self.recorders[-1]

    def player(self, chosen):
        if self.missing:
            raise DeviceError("There is no loudspeaker.", "Plug one in; takes can be exported all the same.")
        self.players.append(FakePlayer())
        return self.players[-1]


def tone(seconds=2.0, hz=200.0, rate=44100, level=0.3):
    """Something with a pitch and overtones."""
    t = np.arange(int(seconds * rate)) / rate
    return Waveform(level * sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 8)) / 2, rate)


def write_model(folder, role, name, architecture, size=64, **card):
    """A file with a card and one tensor of zeros: enough to be offered, not to be loaded."""
    card.setdefault("mel_format", None if role == "encoder" else PROJECT_MEL)
    metadata = {"card": Card(role, architecture, name, **card).to_json()}
    header = json.dumps(
        {"__metadata__": metadata, "zeros": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    ).encode()
    path = folder / role / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    return path
