"""A whole toolbox for a test: fake models, a fake sound card, settings of its own, and every thread gone at the end."""

import json
import struct
import threading
from dataclasses import dataclass

import numpy as np
import pytest

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


@pytest.fixture
def devices():
    return FakeDevices()


@pytest.fixture
def models_folder(tmp_path):
    """One model of each role."""
    from core.inference.registry import ARCHITECTURES

    folder = tmp_path / "pretrained"
    for role, name in (("encoder", "fake-encoder"), ("synthesizer", "fake-synthesizer"), ("vocoder", "fake-vocoder")):
        architecture = next(a for a, entry in ARCHITECTURES.items() if entry[0] == role and a != "griffin_lim")
        write_model(folder, role, name, architecture, space="" if role == "vocoder" else "ge2e-256", extra={"rank": 1})
    return folder


@pytest.fixture
def make_toolbox(qapp, qtbot, tmp_path, devices, models_folder):
    """Builds toolboxes; closes them, and waits for their threads, when the test is over."""
    from fakes import fake_cloner

    from toolbox.app import build, set_style
    from toolbox.settings import Settings

    set_style(qapp)
    built = []

    def make(delay=0.0, cloner=None, started=True, settings=None):
        if cloner is None:
            cloner = fake_cloner(delay)
            cloner.folder = models_folder
        toolbox = build(settings or Settings(tmp_path / "settings.ini"), cloner.folder, cloner, devices)
        built.append(toolbox)
        if started:
            toolbox.window.show()
            toolbox.start()
            settle(qtbot, toolbox)
        return toolbox

    yield make
    for toolbox in built:
        if not all(lane.has_stopped for lane in toolbox.lanes.values()):
            with qtbot.waitSignal(toolbox.closed, timeout=10000):
                toolbox.close()
        assert all(lane.join(5) for lane in toolbox.lanes.values()), "a worker was left running"
        toolbox.window.deleteLater()
        toolbox.deleteLater()
    qapp.processEvents()


@pytest.fixture
def toolbox(make_toolbox):
    return make_toolbox()


def settle(qtbot, toolbox, timeout=20000):
    """Waits until no lane has anything to do."""
    qtbot.waitUntil(lambda: not any(lane.jobs for lane in toolbox.lanes.values()), timeout=timeout)
    qtbot.waitUntil(lambda: not toolbox.actions.map._soon.isActive(), timeout=timeout)
    qtbot.waitUntil(lambda: not any(lane.jobs for lane in toolbox.lanes.values()), timeout=timeout)


@pytest.fixture
def settled(qtbot):
    return lambda toolbox, timeout=20000: settle(qtbot, toolbox, timeout)


@pytest.fixture
def load(qtbot, tmp_path):
    """Writes sounds as files, loads them, waits; returns the ids of the utterances they became."""
    import soundfile

    def load(toolbox, name="anna_1.wav", waveform=None, speaker=None):
        waveform = waveform or tone()
        path = tmp_path / name
        soundfile.write(path, waveform.samples, waveform.sample_rate)
        before = set(toolbox.workspace.utterances)
        toolbox.actions.voices.load([path], speaker)
        settle(qtbot, toolbox)
        return [id for id in toolbox.workspace.utterances if id not in before]

    return load


@pytest.fixture
def texts():
    """What the notice strip shows, as one text."""
    return lambda toolbox: "\n".join(toolbox.window.notices.texts)
