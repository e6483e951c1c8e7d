"""The recorded speech to learn from: a manifest, tar shards of Ogg Opus, and a cache of decoded 16 kHz sound.

The folder's own README says where each set comes from. Nothing of it is ever part of the repository.
"""

import csv
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import VoiceError

REPOSITORY = Path(__file__).resolve().parents[2]
SPEECH = Path(os.environ.get("VOICE_SPEECH", REPOSITORY.parent / "shared" / "speech"))
CACHE = Path(os.environ.get("VOICE_CACHE", REPOSITORY / "cache"))
SAMPLE_RATE = 16000


@dataclass(frozen=True)
class Row:
    """One utterance of the manifest. split: train, val_seen or val_unseen. text may be empty."""

    utt_id: str
    set: str
    shard: str
    speaker: str
    gender: str
    language: str
    split: str
    seconds: float
    text: str


def read_manifest(speech: Path = SPEECH) -> list[Row]:
    """Every utterance of the manifest, in its order. Raises VoiceError where there is none."""
    path = Path(speech) / "manifest.tsv"
    if not path.exists():
        raise VoiceError(
            f"There is no speech to learn from: {path} is missing.", "Set VOICE_SPEECH to the folder that holds it."
        )
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        names = Row.__dataclass_fields__
        return [
            Row(**{k: float(v) if k == "seconds" else v or "" for k, v in row.items() if k in names}) for row in rows
        ]


def read_shards(rows: list[Row], speech: Path = SPEECH) -> Iterator[tuple[Row, bytes]]:
    """The rows with their Ogg Opus bytes, shard by shard (so not in the order given)."""
    by_shard: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_shard.setdefault(row.shard, {})[f"{row.utt_id}.opus"] = row
    for shard, members in by_shard.items():
        with tarfile.open(Path(speech) / shard) as tar:
            for member in tar:
                row = members.get(os.path.basename(member.name))
                if row is not None:
                    yield row, tar.extractfile(member).read()


def decode(blob: bytes) -> np.ndarray:
    """Opus bytes -> float32 (n_samples,) at 16 kHz."""
    import soundfile
    import soxr

    samples, sample_rate = soundfile.read(io.BytesIO(blob), dtype="float32")
    return samples if sample_rate == SAMPLE_RATE else soxr.resample(samples, sample_rate, SAMPLE_RATE)


class SpeechCache:
    """All speech decoded once: one int16 memory map of 16 kHz sound. `rows[i]` is heard by `samples(i)`."""

    def __init__(self, folder: Path = CACHE, speech: Path = SPEECH):
        folder = Path(folder)
        index = folder / "speech_index.npz"
        if not index.exists():
            self._build(folder, speech)
        by_id = {row.utt_id: row for row in read_manifest(speech)}
        with np.load(index) as stored:
            self.rows = [by_id[utt_id] for utt_id in stored["utt_ids"]]
            self.offsets = stored["offsets"]
        self._samples = np.memmap(folder / "speech.int16", dtype=np.int16, mode="r")

    @staticmethod
    def _build(folder: Path, speech: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        utt_ids, offsets = [], [0]
        with (folder / "speech.int16").open("wb") as file:
            for row, blob in read_shards(read_manifest(speech), speech):
                samples = (np.clip(decode(blob), -1, 1) * 32767).astype(np.int16)
                file.write(samples.tobytes())
                utt_ids.append(row.utt_id)
                offsets.append(offsets[-1] + len(samples))
        np.savez(folder / "speech_index.npz", utt_ids=np.array(utt_ids), offsets=np.array(offsets))

    def __len__(self) -> int:
        return len(self.rows)

    def samples(self, i: int) -> np.ndarray:
        """Utterance i as recorded, float32 (n_samples,) in [-1, 1] at 16 kHz."""
        return self._samples[self.offsets[i] : self.offsets[i + 1]].astype(np.float32) / 32767
