import numpy as np
import pytest

from core.training.data import Row
from core.training.guise import Guise, disguise, guise_of, move_formants
from core.training.prepare import pseudo_speakers, teach_pseudo_speakers


def vowel(f0: float, formants: tuple[float, ...], n: int = 32000) -> np.ndarray:
    t = np.arange(n) / 16000
    total = np.zeros(n)
    for k in range(1, int(7800 / f0)):
        strength = sum(1 / (1 + ((k * f0 - f) / 100) ** 2) for f in formants) + 0.003
        total += strength * np.cos(2 * np.pi * k * f0 * t)
    return (0.05 * total).astype(np.float32)


def harmonics(samples: np.ndarray, f0: float) -> np.ndarray:
    """Levels of the first harmonics, each the strongest within 12 Hz of its place."""
    spectrum = np.abs(np.fft.rfft(samples[8000:24000] * np.hanning(16000)))
    return np.array([spectrum[int(k * f0) - 12 : int(k * f0) + 13].max() for k in range(1, int(5000 / f0))])


@pytest.mark.parametrize("factor", [0.85, 1.18])
def test_formants_move_and_the_pitch_stays(factor):
    f0, formants = 80.0, (700, 1800, 2900)
    moved = move_formants(vowel(f0, formants), factor)
    levels, before = harmonics(moved, f0), harmonics(vowel(f0, formants), f0)
    for formant in formants[:2]:
        places = np.arange(1, len(levels) + 1) * f0
        near = np.abs(places - formant * factor) < 330
        centre = (places[near] * levels[near]).sum() / levels[near].sum()
        assert abs(centre / (formant * factor) - 1) < 0.06
    assert levels.max() > 0.5 * before.max()
    between = np.abs(np.fft.rfft(moved[8000:24000] * np.hanning(16000)))[int(2.5 * f0)]
    assert between < 0.02 * levels.max()  # still harmonics of the same pitch, nothing between them


def test_speed_moves_pitch_and_formants_back_if_asked():
    sound = vowel(110.0, (700, 1800, 2900))
    quick = disguise(sound, Guise(speed=1.25, formants=1.0))
    assert len(quick) == pytest.approx(len(sound) / 1.25, abs=2)
    levels = harmonics(np.resize(quick, 32000), 137.5)
    assert abs((levels.argmax() + 1) * 137.5 / 700 - 1) < 0.12


def test_a_guise_belongs_to_its_speaker_and_round():
    assert guise_of("anna", 0) == Guise()
    assert guise_of("anna", 1) == guise_of("anna", 1)
    assert len({guise_of(name, k) for name in ("anna", "ben") for k in range(1, 5)}) == 8
    sound = vowel(110.0, (700,), 4000)
    assert disguise(sound, Guise()) is sound
    assert disguise(sound[:200], guise_of("anna", 1)).dtype == np.float32  # shorter than a window


def test_pseudo_speakers_get_the_teachers_voice_of_their_own_guise(tmp_path):
    class Cache:
        rows = [Row(f"u{i}", "vctk_part", "", "p", "", "en", "train", 4.0, f"word {i}") for i in range(4)]

    (tmp_path / "encoder").mkdir()
    for guise, part in ((0, 0), (1, 1), (2, 2)):
        np.savez(
            tmp_path / "encoder" / f"windows-{part}.npz",
            owners=np.repeat(np.arange(4), 2),
            guises=np.full(8, guise, np.int16),
            vectors=np.full((8, 3), guise, np.float16),
        )
    assert pseudo_speakers(Cache()) == {0: 1, 2: 2}
    teach_pseudo_speakers(Cache(), tmp_path)
    with np.load(tmp_path / "shifted_embeddings.npz") as stored:
        found = dict(zip(stored["utt_ids"], stored["vectors"][:, 0], strict=True))
    assert found == {"u0@1": 1, "u2@2": 2}
