"""Tuning the published synthesizer to a voice: nearer to it by the ear, repeatable, and never in the way."""

import os
import shutil

import numpy as np
import pytest

from core.errors import FormatMismatch
from core.inference import registry, tuning
from core.inference.cloner import Cloner
from core.inference.registry import PRETRAINED, available
from core.progress import Cancelled
from core.types import Embedding, SpeakOptions
from tests.fakes import FakeSynthesizer

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.skipif(
    any(not cards for cards in available(PRETRAINED)[0].values()), reason="needs the published models in pretrained/"
)


@pytest.fixture(scope="module")
def synthesizer():
    return registry.load(registry.find("synthesizer"))


@pytest.fixture
def tuner(synthesizer):
    return tuning.tuner_for(synthesizer, PRETRAINED)


@pytest.fixture(scope="module")
def voice(synthesizer, speech):
    encoder = registry.load(registry.find("encoder"))
    ((_, waveform),) = speech(split="train", min_seconds=6.0)
    return encoder.embed(waveform)[0]


def likeness(tuner, asked: Embedding, wanted: Embedding) -> float:
    with torch.no_grad():
        spoken, own = torch.tensor(asked.vector), torch.tensor(wanted.vector)
        manners = [(script, tuner.synthesizer.manner(script, own)) for script in tuner._scripts]
        heard = torch.stack([tuner._heard(script, manner, spoken) for script, manner in manners]).mean(dim=0)
    return float((heard / heard.norm()).numpy() @ wanted.vector)


def test_a_tuned_voice_is_heard_nearer_to_the_one_wanted(tuner, voice):
    tuned = tuner.tune(voice)
    assert np.linalg.norm(tuned.vector) == pytest.approx(1, abs=1e-5) and tuned.encoder == voice.encoder
    assert 1 - likeness(tuner, tuned, voice) < 0.9 * (1 - likeness(tuner, voice, voice))


def test_tuning_is_repeatable_and_remembered(tuner, synthesizer, voice, monkeypatch):
    tuned = tuner.tune(voice)
    again = tuning.tuner_for(synthesizer, PRETRAINED).tune(voice)
    np.testing.assert_array_equal(tuned.vector, again.vector)
    monkeypatch.setattr(tuner, "_search", lambda *_: pytest.fail("tuned twice"))
    assert tuner.tune(voice) is tuned
    with pytest.raises(FormatMismatch):
        tuner.tune(Embedding(voice.vector, "another space"))


def test_a_cancelled_tuning_leaves_nothing_behind(tuner, voice):
    def give_up(fraction, note=""):
        raise Cancelled

    with pytest.raises(Cancelled):
        tuner.tune(voice, give_up)
    assert torch.is_grad_enabled() and not tuner._tuned


def test_the_weights_stay_as_they_were(tuner, synthesizer, voice):
    before = {name: tensor.clone() for name, tensor in synthesizer.model.state_dict().items()}
    tuner.tune(voice)
    for name, tensor in synthesizer.model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(p.grad is None for p in synthesizer.model.parameters())


def test_speaking_is_tuned_unless_asked_not_to(voice):
    cloner = Cloner()
    cloner.select()
    notes = []
    tuned = cloner.synthesize("Good morning.", voice, report=lambda fraction, note="": notes.append(note))
    plain = cloner.synthesize("Good morning.", voice, options=SpeakOptions(tuned=False))
    assert "tuning to the voice" in notes
    assert tuned.mel.frames.shape == plain.mel.frames.shape  # the rhythm is the voice's own
    assert not np.allclose(tuned.mel.frames, plain.mel.frames)


def test_another_encoder_in_the_folder_is_listened_with(tmp_path, voice):
    shutil.copytree(PRETRAINED, tmp_path, dirs_exist_ok=True)
    cloner = Cloner(tmp_path)
    cloner.select()
    first = cloner.tune(voice)
    assert cloner.tune(voice) is first
    (published,) = (tmp_path / "encoder").glob("*.safetensors")
    os.utime(published, (1, 1))
    cloner.select()
    assert cloner.tune(voice) is not first


def test_a_synthesizer_that_cannot_be_tuned_speaks_as_it_is(tmp_path, synthesizer):
    assert tuning.tuner_for(FakeSynthesizer(), PRETRAINED) is None
    assert tuning.tuner_for(synthesizer, tmp_path) is None  # no encoder there to listen with
