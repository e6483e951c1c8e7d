"""The encoder that lies in pretrained/, on real voices nobody trained on."""

import time

import numpy as np
import pytest

from core.evaluation.verification import equal_error_rate, pair_similarities
from core.inference.registry import available, load
from core.types import Waveform

SPEAKERS = ("LS61", "LS237", "LS260", "LS4446")


@pytest.fixture(scope="module")
def card():
    cards = [card for card in available()[0]["encoder"] if card.space == "ge2e-256"]
    if not cards:
        pytest.skip("no encoder is published in pretrained/encoder")
    return cards[0]


@pytest.fixture(scope="module")
def encoder(card):
    return load(card)


def test_it_is_small_and_says_what_it_is(card):
    assert card.path.stat().st_size < 6_000_000
    assert card.licence and card.trained_on and card.steps > 0


def test_it_tells_unseen_speakers_apart(encoder, speech):
    vectors, names = [], []
    for name in SPEAKERS:
        for _, waveform in speech(8, split="val_unseen", speaker=name, min_seconds=5):
            vectors.append(encoder.embed(waveform)[0].vector)
            names.append(name)
    same, different = pair_similarities(np.stack(vectors), np.array(names))
    assert equal_error_rate(same, different) < 0.04
    assert same.mean() > different.mean() + 0.2


def test_louder_is_the_same_voice(encoder, speech):
    ((_, waveform),) = speech(1, split="val_unseen", speaker="LS61", min_seconds=5)
    voice = encoder.embed(waveform)[0]
    for gain in (0.1, 0.5, 2.0):
        louder = Waveform(np.clip(waveform.samples * gain, -1, 1), waveform.sample_rate)
        assert voice.similarity(encoder.embed(louder)[0]) > 0.98


def test_five_seconds_take_little_time(encoder, speech):
    ((_, waveform),) = speech(1, split="val_unseen", speaker="LS237", min_seconds=5)
    five = Waveform(waveform.samples[: 5 * 16000], 16000)
    encoder.embed(five)
    best = np.inf
    for _ in range(5):
        began = time.process_time()
        encoder.embed(five)
        best = min(best, time.process_time() - began)
    assert best < 0.2  # seconds of processor time, all cores together


def test_reference_voices_lie_in_its_space(encoder, card):
    from core.training.reference_voices import ASSET

    with np.load(ASSET) as stored:
        assert str(stored["space"]) == card.space
        vectors = stored["vectors"].astype(np.float32)
        names, genders, languages = stored["names"], stored["genders"], stored["languages"]
    assert 40 <= len(vectors) <= 60
    assert len(set(names)) == len(names) == len(genders) == len(languages) == len(vectors)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=5e-3)
    assert {"F", "M"} <= set(genders) and len(set(languages)) > 8


def test_reference_voices_are_nobody_of_the_unseen(speech):
    from core.training.data import read_manifest
    from core.training.reference_voices import ASSET

    speech(1)  # skips without the manifest
    unseen = {row.speaker[2:] for row in read_manifest() if row.split == "val_unseen"}
    with np.load(ASSET) as stored:
        numbers = {name.split()[1] for name in stored["names"] if name.startswith("LS ")}
    assert numbers and not numbers & unseen
