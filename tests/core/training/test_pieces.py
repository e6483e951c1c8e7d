import os
import random

import numpy as np
import pytest

from core.training.pieces import Pieces


def write_chunk(folder, name: str, utt_ids: list[str], speakers: list[str]) -> None:
    n, t = 4, 20
    count = len(utt_ids)
    mel = np.arange(count * t * 80, dtype=np.float32).reshape(-1, 80) % 7
    np.save(folder / f"features_{name}.mel.npy", mel.astype(np.float16))
    np.savez(
        folder / f"features_{name}.npz",
        ids=np.full((count * n, 4), 3, np.int16),
        frames=np.full(count * n, 5, np.int16),
        f0=np.random.default_rng(0).normal(5, 0.2, (count * n, 3)).astype(np.float32),
        voiced=np.ones(count * n, np.float32),
        level=np.linspace(-6, -4, count * n).astype(np.float32),
        utt_ids=np.array(utt_ids),
        speakers=np.array(speakers),
        splits=np.array(["train"] * count),
        kinds=np.zeros(count, int),
        n_tokens=np.full(count, n),
        n_frames=np.full(count, t),
    )


def unit(axis: int) -> np.ndarray:
    return np.eye(256, dtype=np.float32)[axis]


@pytest.fixture
def folder(tmp_path):
    write_chunk(tmp_path, "clean-00", ["a1", "a2", "b1"], ["a", "a", "b"])
    np.savez(tmp_path / "teacher_embeddings.npz", utt_ids=np.array(["a1", "a2"]), vectors=np.stack([unit(0), unit(1)]))
    return tmp_path


def test_pieces_wait_for_their_voice_and_new_chunks_are_found(folder):
    pieces = Pieces(folder, ["clean"])
    assert [row["utt_id"] for row in pieces.rows] == ["a1", "a2"]
    assert not pieces.refresh()
    write_chunk(folder, "clean-01", ["a3"], ["a"])
    path = folder / "teacher_embeddings.npz"
    np.savez(path, utt_ids=np.array(["a1", "a2", "a3", "b1"]), vectors=np.stack([unit(k) for k in range(4)]))
    os.utime(path, (1, 1))  # another time stamp, however fast the test
    assert pieces.refresh()
    assert sorted(row["utt_id"] for row in pieces.rows) == ["a1", "a2", "a3", "b1"]
    assert sorted(pieces.by_speaker) == ["a", "b"]


def test_a_batch_is_normalised_and_speaks_with_a_voice_of_the_same_speaker(folder):
    pieces = Pieces(folder, ["clean"])
    batch = pieces.batch([0, 1], random.Random(0), own=0.0)
    assert batch.mel.shape == (2, 20, 80) and batch.frames.sum(1).tolist() == [20, 20]
    assert abs(float(batch.mel.mean())) < 0.3 and float(batch.mel.std()) == pytest.approx(1, abs=0.2)
    assert all(int(v.argmax()) in (0, 1) for v in batch.voices)
    own = pieces.batch([0, 1], random.Random(0), own=1.0)
    assert [int(v.argmax()) for v in own.voices] == [0, 1]


def test_half_of_the_voices_come_from_another_encoder_where_there_is_one(folder):
    np.savez(folder / "student_voices.npz", speakers=np.array(["a"]), vectors=unit(9)[None])
    pieces = Pieces(folder, ["clean"])
    heard = [int(pieces.batch([0], random.Random(k)).voices[0].argmax()) for k in range(200)]
    assert 70 < heard.count(9) < 130


def test_no_speaker_is_heard_longer_than_the_rest(folder):
    pieces = Pieces(folder, ["clean"])
    seconds = sum(row["length"] for row in pieces.rows) / 80
    stream = pieces.endless(random.Random(0), 20, speaker_minutes=seconds / 2 / 60, weights={0: 1.0})
    assert {i for _ in range(50) for i in next(stream)} == {0, 1}  # all are heard in time
