"""A whole toolbox for a test: fake models, a fake sound card, settings of its own, and every thread gone at the end."""

import pytest
from window_fakes import FakeDevices, tone, write_model


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
def make_toolbox(qapp, qtbot, tmp_path, devices, models_folder, monkeypatch):
    """Builds toolboxes; closes them, and waits for their threads, when the test is over."""
    from fakes import FakeUmap, fake_cloner

    from toolbox.app import build, set_style
    from toolbox.settings import Settings

    monkeypatch.setattr("core.inference.projection.UmapProcess", FakeUmap)
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
