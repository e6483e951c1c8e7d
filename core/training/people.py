"""Everybody whom the teacher has heard: voices for the synthesizer to speak in, without a text read in them."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.training.data import CACHE, SAMPLE_RATE, SpeechCache
from core.training.guise import guise_of

UNTRANSCRIBED = "librispeech_tc100_one_utt"
"""The set of readers without texts, one utterance each."""
PER_SPEAKER = 4
"""Utterances of a speaker, each with all its guises: a voice apiece."""
HEARD_SECONDS = 8


def readers_apart(cache: SpeechCache, n: int = 48) -> list[int]:
    """One utterance each of readers that no synthesizer learns from, in text or voice: choices are made on them."""
    found = [i for i, row in enumerate(cache.rows) if row.set == UNTRANSCRIBED and row.seconds > 8]
    random.Random(1).shuffle(found)
    return found[:n]


@dataclass(frozen=True)
class People:
    """voices: float32 (n, 256), norm 1. pitch: float32 (n,), the mean of the logarithm of F0 in Hz while voiced."""

    voices: Tensor
    pitch: Tensor

    def __len__(self) -> int:
        return len(self.voices)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """N of them by chance: voices (n, 256), pitch (n,)."""
        chosen = torch.randint(len(self), (n,), generator=generator)
        return self.voices[chosen], self.pitch[chosen]


def mean_pitch(samples: np.ndarray) -> float:
    """The mean of log F0 over the trusted voiced frames of a sound at 16 kHz; NaN where fewer than 20 are found."""
    from core.training.pitch import track_pitch, trusted

    f0 = trusted(track_pitch(samples[: HEARD_SECONDS * SAMPLE_RATE], SAMPLE_RATE))
    return float(np.log(f0[f0 > 0]).mean()) if (f0 > 0).sum() >= 20 else float("nan")


def known_people(folder: Path = CACHE) -> People | None:
    """What `core.training.teacher` has stored of the training split and its guises; None where it has not run.

    The pitch is tracked once, about 5 minutes of one core, and kept in `folder`; a guise moves it by its speed.
    """
    parts = sorted((folder / "encoder").glob("windows-*.npz"))
    if not parts:
        return None
    cache = SpeechCache()
    apart = {cache.rows[i].speaker for i in readers_apart(cache)}
    by_speaker: dict[str, list[int]] = {}
    for i, row in enumerate(cache.rows):
        if row.split == "train" and row.speaker not in apart and row.seconds >= 2:
            by_speaker.setdefault(row.speaker, []).append(i)
    rng = random.Random(0)
    chosen = sorted(i for own in by_speaker.values() for i in rng.sample(own, min(PER_SPEAKER, len(own))))
    path = folder / "people_pitch.npz"
    if not path.exists():
        print(f"tracks the pitch of {len(chosen)} utterances, once", flush=True)
        np.savez(path, chosen=np.array(chosen), pitch=np.array([mean_pitch(cache.samples(i)) for i in chosen]))
    with np.load(path) as stored:
        pitch_of = dict(zip(stored["chosen"].tolist(), stored["pitch"].tolist(), strict=True))
    voices, pitches = [], []
    for part in parts:
        with np.load(part) as stored:
            owners, number, vectors = stored["owners"], int(stored["guises"][0]), stored["vectors"].astype(np.float32)
        order = np.argsort(owners, kind="stable")
        found, first = np.unique(owners[order], return_index=True)
        for owner, members in zip(found.tolist(), np.split(order, first[1:]), strict=True):
            pitch = pitch_of.get(owner, float("nan"))
            if pitch == pitch:
                mean = vectors[members].mean(axis=0)
                voices.append(mean / np.linalg.norm(mean))
                pitches.append(pitch + np.log(guise_of(cache.rows[owner].speaker, number).speed))
    return People(torch.from_numpy(np.stack(voices)), torch.tensor(pitches, dtype=torch.float32))
