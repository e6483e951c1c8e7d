"""Windows of speech for a speaker encoder to learn from, drawn speaker by speaker."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from core.audio.partials import WINDOW_FRAMES, partial_starts, power_mel
from core.errors import VoiceError
from core.training.data import CACHE, SAMPLE_RATE, SpeechCache
from core.training.teacher import speech_of

WINDOW = WINDOW_FRAMES * 160
"""Samples of one window: 1.6 s."""

_CLEAN = "LS121 LS908 LS1188 LS1284 LS1995 LS2961 LS3570 LS4992 LS5683 LS8455 LS8463 LS8555"
_LOSSY = "LS652 LS1988 LS1993 LS2035 LS2086 LS2277 LS2428 LS2803"
JUDGED = (*_CLEAN.split(), *_LOSSY.split())
"""Training speakers that the encoder does not learn from, to choose by: 12 clean and 8 lossy ones."""


@dataclass
class Windows:
    """sounds: int16 arrays (or memory maps); window w is sounds[sound[w]][start[w] : start[w] + length[w]].

    speaker: int (n,), utterance: int (n,). targets, voices: the teacher's view of the window and of its utterance,
    float16 (n, 256), or None where there is no teacher.
    """

    sounds: list[np.ndarray]
    sound: np.ndarray
    start: np.ndarray
    length: np.ndarray
    speaker: np.ndarray
    utterance: np.ndarray
    targets: np.ndarray | None = None
    voices: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.start)

    def wave(self, w: int) -> np.ndarray:
        """Window w, float32 (WINDOW,), as loud as it is; after a short one comes silence, as the teacher heard it."""
        samples = self._between(w, self.start[w], self.start[w] + self.length[w])
        return np.pad(samples, (0, WINDOW - len(samples)))

    def mel(self, w: int) -> np.ndarray:
        """The mel energies of window w, float32 (WINDOW_FRAMES, 40)."""
        return power_mel(self.wave(w))[:WINDOW_FRAMES]

    @cached_property
    def bounds(self) -> np.ndarray:
        """Where the utterance of each window begins and ends in its sound, int64 (n, 2)."""
        _, group = np.unique(self.utterance, return_inverse=True)
        begins, ends = np.full(group.max() + 1, np.iinfo(np.int64).max), np.zeros(group.max() + 1, np.int64)
        np.minimum.at(begins, group, self.start)
        np.maximum.at(ends, group, self.start + self.length)
        return np.stack([begins[group], ends[group]], axis=1)

    def excerpt(self, w: int, n_samples: int, later: int = 0) -> np.ndarray:
        """float32 (n_samples,) of window w's utterance, from `later` samples after the window's beginning, or from as
        near to there as the utterance has so many. A shorter one is heard again and again; one that is shorter than a
        window ends in silence, as everywhere."""
        begin, end = self.bounds[w]
        start = max(begin, min(self.start[w] + later, end - n_samples))
        samples = self._between(w, start, min(start + n_samples, end))
        rest = (0, n_samples - len(samples))
        return np.pad(samples, rest, mode="wrap") if len(samples) >= WINDOW else np.pad(samples, rest)

    def speech(self, members: np.ndarray) -> np.ndarray:
        """From where the first of an utterance's windows begins to where the last one ends, float32 (n_samples,)."""
        first, last = members[0], members[-1]
        return self._between(first, self.start[first], self.start[last] + self.length[last])

    def _between(self, w: int, start: int, end: int) -> np.ndarray:
        """float32 (end - start,) of the sound that window w is of."""
        return self.sounds[self.sound[w]][start:end].astype(np.float32) / 32767

    def select(self, mask: np.ndarray) -> "Windows":
        """The windows where `mask` holds, over the same sounds."""
        picked = {name: getattr(self, name)[mask] for name in ("sound", "start", "length", "speaker", "utterance")}
        targets = self.targets[mask] if self.targets is not None else None
        voices = self.voices[mask] if self.voices is not None else None
        return Windows(self.sounds, **picked, targets=targets, voices=voices)


class SpeakerBatches:
    """Batches of `speakers` x `per_speaker` windows, so that every voice meets itself and others.

    A speaker comes up in proportion to the square root of its windows: 2,000 people heard once must not drown the few
    heard for half an hour, nor the reverse.
    """

    def __init__(self, windows: Windows, speakers: int, per_speaker: int, seed: int = 0):
        self.windows, self.per_speaker, self.rng = windows, per_speaker, np.random.default_rng(seed)
        order = np.argsort(windows.speaker, kind="stable")
        _, first = np.unique(windows.speaker[order], return_index=True)
        self.groups = np.split(order, first[1:])
        weights = np.sqrt([len(group) for group in self.groups])
        self.weights = weights / weights.sum()
        self.speakers = min(speakers, len(self.groups))

    def draw(self) -> np.ndarray:
        """Window numbers, int (speakers * per_speaker,), a speaker's side by side, none twice if it can."""
        batch = []
        for group in self.rng.choice(len(self.groups), self.speakers, replace=False, p=self.weights):
            members = self.groups[group]
            batch.append(self.rng.choice(members, self.per_speaker, replace=len(members) < self.per_speaker))
        return np.concatenate(batch)


def distillation_windows(folder: Path = CACHE / "encoder") -> tuple[Windows, Windows]:
    """What `core.training.teacher` stored: the training split with its pseudo-speakers, and speakers to judge by.

    Those are JUDGED, training speakers kept out of training: choices are made on them, never on the unseen ones.
    Raises VoiceError when it has not run.
    """
    parts = sorted(Path(folder).glob("windows-*.npz"))
    if not parts:
        raise VoiceError("The teacher's view of the speech is not there yet.", "Run: python -m core.training.teacher")
    rows = SpeechCache().rows
    names = sorted({row.speaker for row in rows})
    speaker_of = np.array([names.index(row.speaker) for row in rows])
    split = np.array([row.split for row in rows])
    sounds, columns = [], {key: [] for key in ("sound", "start", "length", "owner", "guise", "targets")}
    for number, part in enumerate(parts):
        with np.load(part) as stored:
            columns["sound"].append(np.full(len(stored["starts"]), number))
            for key, source in (("start", "starts"), ("length", "lengths"), ("owner", "owners"), ("guise", "guises")):
                columns[key].append(stored[source])
            columns["targets"].append(stored["vectors"])
        sounds.append(
            np.memmap(part.with_name(part.name.replace("windows", "speech")).with_suffix(".int16"), np.int16, "r")
        )
    stacked = {key: np.concatenate(value) for key, value in columns.items()}
    # Another guise makes another person, and another utterance, of the same recording.
    guises = int(stacked["guise"].max()) + 1
    utterance = stacked["owner"].astype(np.int64) * guises + stacked["guise"]
    voices = utterance_means(stacked["targets"].astype(np.float32), utterance).astype(np.float16)
    windows = Windows(
        sounds,
        stacked["sound"],
        stacked["start"],
        stacked["length"],
        speaker_of[stacked["owner"]] * guises + stacked["guise"],
        utterance,
        stacked["targets"],
        voices,
    )
    heard = stacked["length"] >= 0.5 * SAMPLE_RATE
    original = stacked["guise"] == 0
    trainable = heard & (split[stacked["owner"]] == "train")
    apart = np.isin(speaker_of[stacked["owner"]], [names.index(name) for name in JUDGED if name in names])
    return windows.select(trainable & ~apart), windows.select(trainable & original & apart)


def utterance_means(vectors: np.ndarray, utterance: np.ndarray) -> np.ndarray:
    """For each window the normalised mean over its utterance, float32 (n, d)."""
    _, group = np.unique(utterance, return_inverse=True)
    sums = np.zeros((group.max() + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, group, vectors)
    return (sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(1e-6))[group]


def own_windows(folder: Path, held_out: int = 5) -> tuple[Windows, Windows]:
    """Speech of one's own: a folder per speaker, sound files in it. Every `held_out`-th speaker is kept for judging.

    Raises VoiceError where there are too few speakers.
    """
    from core.audio.io import read_audio
    from core.audio.transform import resample

    people = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    if len(people) < 4:
        raise VoiceError(
            f"{folder} holds {len(people)} folders of speakers.", "Put each speaker's files in a folder of its own."
        )
    sounds, columns = [], []
    for number, person in enumerate(people):
        for file in sorted(path for path in person.rglob("*") if path.is_file() and not path.name.startswith(".")):
            try:
                samples = speech_of(resample(read_audio(file), SAMPLE_RATE).samples)
            except VoiceError as error:
                print(error)
                continue
            sounds.append((np.clip(samples, -1, 1) * 32767).astype(np.int16))
            for start in partial_starts(len(samples)):
                columns.append(
                    (len(sounds) - 1, start * 160, min(len(samples) - start * 160, WINDOW), number, len(sounds) - 1)
                )
    if not columns:
        raise VoiceError(
            f"No sound could be read in {folder}.", "Put wav, flac, ogg or mp3 files in the speakers' folders."
        )
    windows = Windows(sounds, *(np.array(column) for column in zip(*columns, strict=True)))
    apart = windows.speaker % held_out == held_out - 1
    return windows.select(~apart), windows.select(apart)
