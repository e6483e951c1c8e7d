"""The features of `core.training.features` in memory, and batches of them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.text.symbols import ALPHABETS, BOUNDARY, LONG_PAUSE, SHORT_PAUSE, Phone
from core.types import PROJECT_MEL

ALPHABET = ALPHABETS["ipa-1"]
_FIRST = {mark: int(ALPHABET.encode([Phone(mark)])[0, 0]) for mark in (BOUNDARY, SHORT_PAUSE, LONG_PAUSE)}
PAUSE_IDS = (_FIRST[BOUNDARY], _FIRST[SHORT_PAUSE], _FIRST[LONG_PAUSE])
"""The first letter's number of a word boundary without, with a short, and with a long pause."""


@dataclass(frozen=True)
class Constants:
    """What normalises the features: mel_mean, mel_std one per band; F0 in log Hz; level is the mean of the log mel."""

    mel_mean: tuple[float, ...]
    mel_std: tuple[float, ...]
    f0_mean: float
    f0_std: float
    level_mean: float
    level_std: float


@dataclass
class Batch:
    """Tensors of B pieces, padded. Lengths in symbols and frames.

    ids (B, N, 4) int64, symbols (B,), frames (B, N) int64, length (B,), mel (B, T, 80) normalised, prosody (B, N, 5):
    F0 x 3, voicing, level; voices (B, 256); kinds (B,).
    """

    ids: Tensor
    symbols: Tensor
    frames: Tensor
    length: Tensor
    mel: Tensor
    prosody: Tensor
    voices: Tensor
    kinds: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(**{name: value.to(device, non_blocking=True) for name, value in vars(self).items()})


class Pieces:
    """Pieces of speech with their features, by index; those without a voice embedding wait until it is there.

    parts: names; every features_<part>-NN.npz in `folder` is read. Voices come from every *_embeddings*.npz (arrays
    utt_ids, vectors; all of one space): an utterance may have several, and each use picks one at random. With a
    *_voices.npz (arrays speakers, vectors), by another encoder of that space, half of the voices come from it.
    """

    def __init__(self, folder: Path, parts: list[str], constants: Constants | None = None):
        self.folder, self.parts, self.constants = Path(folder), parts, constants
        self.rows: list[dict] = []
        self.voices: dict[str, np.ndarray] = {}
        self.second: dict[str, np.ndarray] = {}
        self.by_speaker: dict[str, list[str]] = {}
        self._waiting: list[dict] = []
        self._read: dict[Path, float] = {}
        self.refresh()

    def refresh(self) -> bool:
        """Reads what has been added to the folder since the last look; whether there was anything."""
        voice_paths = sorted(self.folder.glob("*_embeddings*.npz"))
        second_paths = sorted(self.folder.glob("*_voices.npz"))
        chunks = [path for part in self.parts for path in sorted(self.folder.glob(f"features_{part}-[0-9]*.npz"))]
        fresh = [
            path for path in (*voice_paths, *second_paths, *chunks) if self._read.get(path) != path.stat().st_mtime
        ]
        self._read.update({path: path.stat().st_mtime for path in fresh})
        if any(path in voice_paths for path in fresh):
            self.voices = load_voices(voice_paths)
        if any(path in second_paths for path in fresh):
            self.second = load_voices(second_paths, "speakers")
        for path in fresh:
            if path in chunks:
                self._read_chunk(path)
        if not fresh or self.constants is None:
            return False
        self.mean, self.std = (
            np.array(self.constants.mel_mean, np.float32),
            np.array(self.constants.mel_std, np.float32),
        )
        self.rows += [row for row in self._waiting if row["utt_id"] in self.voices]
        self._waiting = [row for row in self._waiting if row["utt_id"] not in self.voices]
        known: dict[str, dict[str, None]] = {}
        for row in self.rows:
            if row["split"] == "train":
                known.setdefault(row["speaker"], {})[row["utt_id"]] = None
        self.by_speaker = {speaker: list(utt_ids) for speaker, utt_ids in known.items()}
        return True

    @property
    def used(self) -> list[str]:
        """Names of the parts of which there was something to read."""
        return [part for part in self.parts if any(path.name.startswith(f"features_{part}-") for path in self._read)]

    def describe(self) -> str:
        """How much there is to learn from, for the log."""
        hours = sum(row["length"] for row in self.rows) / (3600 * PROJECT_MEL.frame_rate)
        return f"{len(self.rows)} pieces, {hours:.2f} h, {len(self.by_speaker)} speakers"

    def _read_chunk(self, path: Path) -> None:
        with np.load(path) as stored:
            arrays = dict(stored)
        mel = np.load(path.with_suffix(".mel.npy"))
        if self.constants is None:
            self.constants = self._measure(arrays, mel)
        token = frame = 0
        for k, utt_id in enumerate(arrays["utt_ids"]):
            n, t = int(arrays["n_tokens"][k]), int(arrays["n_frames"][k])
            s = slice(token, token + n)
            self._waiting.append(
                {
                    "utt_id": str(utt_id),
                    "speaker": str(arrays["speakers"][k]),
                    "split": str(arrays["splits"][k]),
                    "kind": int(arrays["kinds"][k]),
                    "length": t,
                    "ids": arrays["ids"][s],
                    "frames": arrays["frames"][s],
                    "f0": arrays["f0"][s],
                    "voiced": arrays["voiced"][s],
                    "level": arrays["level"][s],
                    "mel": mel[frame : frame + t],
                }
            )
            token, frame = token + n, frame + t

    @staticmethod
    def _measure(arrays: dict, mel: np.ndarray) -> Constants:
        some = mel[:: max(1, len(mel) // 200_000)].astype(np.float32)
        voiced = arrays["voiced"] > 0.5
        f0, level = arrays["f0"][voiced], arrays["level"]
        mean, std = some.mean(axis=0), some.std(axis=0)
        return Constants(
            tuple(map(float, mean)),
            tuple(map(float, std)),
            float(f0.mean()),
            float(f0.std()),
            float(level.mean()),
            float(level.std()),
        )

    def indices(self, split: str, kinds: tuple[int, ...] | None = None) -> list[int]:
        """Pieces of a split, of some kinds of recording."""
        return [
            i for i, row in enumerate(self.rows) if row["split"] == split and (kinds is None or row["kind"] in kinds)
        ]

    def batch(self, indices: list[int], rng: random.Random, own: float = 0.5, multiple: int = 2) -> Batch:
        """own: how often the voice is that of the utterance itself, rather than of another one of the speaker."""
        rows = [self.rows[i] for i in indices]
        n, t = max(len(row["ids"]) for row in rows), max(row["length"] for row in rows)
        t = -(-t // multiple) * multiple
        ids = np.zeros((len(rows), n, ALPHABET_WIDTH), np.int64)
        frames = np.zeros((len(rows), n), np.int64)
        mel = np.zeros((len(rows), t, len(self.mean)), np.float32)
        prosody = np.zeros((len(rows), n, 5), np.float32)
        c = self.constants
        for b, row in enumerate(rows):
            m = len(row["ids"])
            ids[b, :m], frames[b, :m] = row["ids"], row["frames"]
            mel[b, : row["length"]] = (row["mel"] - self.mean) / self.std
            prosody[b, :m, :3] = (row["f0"] - c.f0_mean) / c.f0_std
            prosody[b, :m, 3] = row["voiced"]
            prosody[b, :m, 4] = (row["level"] - c.level_mean) / c.level_std
        voices = [self._voice(row, rng, own) for row in rows]
        return Batch(
            torch.from_numpy(ids),
            torch.tensor([len(row["ids"]) for row in rows]),
            torch.from_numpy(frames),
            torch.tensor([row["length"] for row in rows]),
            torch.from_numpy(mel),
            torch.from_numpy(prosody),
            torch.from_numpy(np.stack(voices)),
            torch.tensor([row["kind"] for row in rows]),
        )

    def _voice(self, row: dict, rng: random.Random, own: float) -> np.ndarray:
        if row["speaker"] in self.second and rng.random() < 0.5:
            choices = self.second[row["speaker"]]
            return choices[rng.randrange(len(choices))]
        others = self.by_speaker.get(row["speaker"], ())
        utt_id = row["utt_id"] if rng.random() < own or not others else rng.choice(others)
        choices = self.voices[utt_id]
        return choices[rng.randrange(len(choices))]

    def endless(
        self, rng: random.Random, frames: int, speaker_minutes: float, weights: dict[int, float]
    ) -> Iterator[list[int]]:
        """Batches of pieces of like length, about `frames` padded frames each, without end.

        speaker_minutes: no speaker is heard more than that in one round, so that none colours the rest. weights:
        kind -> the share of its pieces that is heard in one round.
        """
        train = self.indices("train")
        seconds: dict[str, float] = {}
        for i in train:
            seconds[self.rows[i]["speaker"]] = (
                seconds.get(self.rows[i]["speaker"], 0) + self.rows[i]["length"] / PROJECT_MEL.frame_rate
            )
        share = {speaker: min(1.0, speaker_minutes * 60 / s) for speaker, s in seconds.items()}
        while True:
            chosen = [
                i
                for i in train
                if rng.random() < share[self.rows[i]["speaker"]] * weights.get(self.rows[i]["kind"], 1.0)
            ]
            chosen.sort(key=lambda i: self.rows[i]["length"] * rng.uniform(0.9, 1.1))
            batches, current, longest = [], [], 0
            for i in chosen:
                longest = max(longest, self.rows[i]["length"])
                current.append(i)
                if longest * len(current) >= frames:
                    batches.append(current)
                    current, longest = [], 0
            rng.shuffle(batches)
            yield from batches or [chosen]


ALPHABET_WIDTH = 4


def load_voices(paths: list[Path], key: str = "utt_ids") -> dict[str, np.ndarray]:
    """utt_id (or speaker) -> float32 (n, 256), from files with arrays `key` and vectors; missing ones are left out."""
    voices: dict[str, list[np.ndarray]] = {}
    for path in paths:
        if Path(path).exists():
            with np.load(path) as stored:
                for utt_id, vector in zip(stored[key], stored["vectors"].astype(np.float32), strict=True):
                    voices.setdefault(str(utt_id), []).append(vector / max(float(np.linalg.norm(vector)), 1e-6))
    return {utt_id: np.stack(vectors) for utt_id, vectors in voices.items()}
