"""Which sentences the evaluation of speech has said, in whose voices, and what those are compared with."""

import random
from dataclasses import dataclass, replace

from core.evaluation.sentences import HARD, HARVARD
from core.training.data import SpeechCache

SETS = ("held-back", "harvard", "hard")
SPEAKERS = 10
"""Unseen speakers of the manifest."""


@dataclass(frozen=True)
class Case:
    """One sentence to say. reference: the utterance the voice is taken from; enrolled: four others of the speaker, to
    compare with; reading: the utterance in which the speaker says this very text, or None. controlled: whether reading
    and espeak-ng are judged too."""

    text: str
    speaker: str
    reference: int
    enrolled: tuple[int, ...]
    reading: int | None
    controlled: bool = True


def choose_cases(cache: SpeechCache, sets: list[str]) -> list[Case]:
    """Two sentences for each unseen speaker in each set of sentences, always the same ones."""
    rng = random.Random(7)
    by_speaker: dict[str, list[int]] = {}
    for i, row in enumerate(cache.rows):
        if row.split == "val_unseen":
            by_speaker.setdefault(row.speaker, []).append(i)
    cases = []
    for s, speaker in enumerate(sorted(by_speaker)):
        own = by_speaker[speaker]
        readable = [i for i in own if 2.5 <= cache.rows[i].seconds <= 8 and 6 <= len(cache.rows[i].text.split()) <= 22]
        for k, i in enumerate(rng.sample(readable, 2)):
            others = [j for j in own if j != i and cache.rows[j].seconds > 3]
            reference = rng.choice(others)
            enrolled = tuple(rng.sample([j for j in others if j != reference], 4))
            for name in sets:
                text = {"held-back": cache.rows[i].text, "harvard": HARVARD[2 * s + k], "hard": HARD[2 * s + k]}[name]
                cases.append((name, Case(text, speaker, reference, enrolled, i if name == "held-back" else None)))
    return [case for name in sets for kind, case in cases if kind == name]


def spread(cases: list[Case], speakers: int) -> list[Case]:
    """Each case, followed by its text in the voices of other speakers, `speakers` voices in all; those who come next in
    the alphabet. Their references are those of their own cases: what else is known of a speaker is computed once."""
    own = {case.speaker: case for case in reversed(cases)}
    names = sorted(own)
    result = []
    for case in cases:
        others = [names[(names.index(case.speaker) + k) % len(names)] for k in range(1, min(speakers, len(names)))]
        result.append(case)
        result += [replace(own[name], text=case.text, reading=None, controlled=False) for name in others]
    return result


def enrolment(cases: list[Case]) -> dict[str, set[int]]:
    """Speaker -> the utterances whose mean is the speaker's voice, but none that is spoken from, or judged."""
    found: dict[str, set[int]] = {}
    for case in cases:
        found.setdefault(case.speaker, set()).update(case.enrolled)
    apart = {i for case in cases for i in (case.reference, case.reading)}
    return {speaker: indices - apart for speaker, indices in found.items()}
