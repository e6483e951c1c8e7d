"""Mels made by a synthesizer with the real durations and pitch, each with the real sound: so that a vocoder learns to
forgive what a synthesizer blurs.
"""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.inference import registry
from core.inference.registry import Card
from core.training.data import CACHE, SAMPLE_RATE, SpeechCache
from core.types import PROJECT_MEL


class Pairs:
    """Pairs in memory. mels: float16 (n_mels, n_frames) each; sounds: int16, (n_frames - 1) * hop samples or more;
    f0: Hz, float32 (n_frames,), 0 where unvoiced."""

    def __init__(self, mels: list[np.ndarray], sounds: list[np.ndarray], f0: list[np.ndarray], seed: int = 0):
        self.mels, self.sounds, self.f0 = mels, sounds, f0
        self.rng = np.random.default_rng(seed)

    def batch(self, n: int, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Random crops at random levels: sounds float32 (n, (frames - 1) * hop), made mels float32 (n, n_mels,
        frames), F0 of the sounds float32 (n, frames)."""
        hop = PROJECT_MEL.hop_length
        sounds, mels, f0 = [], [], []
        while len(mels) < n:
            k = int(self.rng.integers(len(self.mels)))
            room = self.mels[k].shape[1] - frames
            if room < 0:
                continue
            start = int(self.rng.integers(room + 1))
            sound = self.sounds[k][start * hop : (start + frames - 1) * hop].astype(np.float32) / 32767
            gain = min(10 ** (self.rng.uniform(-9, 9) / 20), 0.99 / (np.abs(sound).max() + 1e-6))
            sounds.append(sound * gain)
            mel = self.mels[k][:, start : start + frames].astype(np.float32) + np.log(gain)
            mels.append(np.maximum(mel, np.log(PROJECT_MEL.floor)))
            f0.append(self.f0[k][start : start + frames])
        return np.stack(sounds).astype(np.float32), np.stack(mels).astype(np.float32), np.stack(f0)


def load_pairs(path: Path, made_by: str, seed: int = 0) -> Pairs | None:
    """The pairs written by `make_pairs`, or None if there are none, or another synthesizer's, or of other minutes."""
    if not Path(path).exists():
        return None
    with np.load(path) as stored:
        if "made_by" not in stored or str(stored["made_by"]) != made_by:
            return None
        mel, sound, f0, frames, samples = (stored[name] for name in ("mel", "sound", "f0", "frames", "samples"))
    frames, samples = np.cumsum(frames)[:-1], np.cumsum(samples)[:-1]
    return Pairs(np.split(mel, frames, axis=1), np.split(sound, samples), np.split(f0, frames), seed)


def published_pairs(
    cache: SpeechCache,
    minutes: float,
    seed: int = 0,
    path: Path = CACHE / "vocoder_pairs.npz",
    say: Callable[[str], None] = print,
) -> Pairs | None:
    """Pairs of the published synthesizer, made anew if those in the cache are not its own. None if there is none."""
    cards = registry.available()[0]["synthesizer"]
    if not cards:
        say("no synthesizer: the vocoder learns from real mels alone")
        return None
    made_by = f"{cards[0].name}, {cards[0].steps} steps, {minutes:g} minutes"
    pairs = load_pairs(path, made_by, seed)
    if pairs is None:
        make_pairs(cache, cards[0], minutes, made_by, path, say)
        pairs = load_pairs(path, made_by, seed)
    return pairs


def make_pairs(
    cache: SpeechCache, card: Card, minutes: float, made_by: str, path: Path, say: Callable[[str], None]
) -> None:
    """Writes pairs from the synthesizer and the alignments its training left in the folder of `path`, if any."""
    import torch

    from core.training.alignment import load_alignments
    from core.training.features import SPEECH_LEVEL, _piece, cut, tokens_of
    from core.training.pieces import load_voices
    from core.training.pitch import track_pitch

    folder = Path(path).parent
    voices = load_voices(sorted(folder.glob("*_embeddings*.npz")))
    aligned: dict = {}
    for part in sorted(folder.glob("alignments_clean-*.npz")):
        aligned.update(load_alignments(part))
    rows = [i for i, r in enumerate(cache.rows) if r.utt_id in aligned and r.utt_id in voices and r.split == "train"]
    if not rows:
        say("no alignments of the synthesizer's training: the vocoder learns from real mels alone")
        return
    model, c = registry.load(card).model, card.extra["constants"]
    mean, std = (np.array(c[name], np.float32) for name in ("mel_mean", "mel_std"))
    random.Random(0).shuffle(rows)
    mels, sounds, tracks, total = [], [], [], 0.0
    for i in rows:
        row, samples = cache.rows[i], cache.samples(i)
        tokens = tokens_of(aligned[row.utt_id], samples)
        spoken = samples[round(tokens[0].end * SAMPLE_RATE) : round(tokens[-1].start * SAMPLE_RATE)]
        samples = samples * (SPEECH_LEVEL / (np.sqrt(np.mean(spoken**2)) + 1e-6))
        samples = samples / max(1.0, np.abs(samples).max() / 0.98)
        for part in cut(tokens):
            piece = _piece(samples, part)
            if piece is None:
                continue
            T = len(piece["mel"])
            prosody = np.concatenate(
                [
                    (piece["f0"] - c["f0_mean"]) / c["f0_std"],
                    piece["voiced"][:, None],
                    (piece["level"][:, None] - c["level_mean"]) / c["level_std"],
                ],
                axis=1,
            ).astype(np.float32)
            with torch.inference_mode():
                ids = torch.tensor(piece["ids"].astype(np.int64))[None]
                condition = model.condition(torch.tensor(voices[row.utt_id][:1]), torch.zeros(1, dtype=torch.long))
                states = model.encode(ids, condition, torch.ones(1, ids.shape[1], 1))
                frames = torch.tensor(piece["frames"].astype(np.int64))[None]
                made = model.decode(states, torch.tensor(prosody)[None], frames, condition, T + T % 2)[0, :T]
            start = round(part[0].start * SAMPLE_RATE)
            sound = samples[start : round(part[-1].end * SAMPLE_RATE)]
            mels.append((made.numpy() * std + mean).T.astype(np.float16))
            sounds.append((sound * 32767).astype(np.int16))
            track = track_pitch(sound)[:T]
            tracks.append(np.pad(track, (0, T - len(track))))
            total += len(sound) / SAMPLE_RATE
        if total > minutes * 60:
            break
    np.savez(
        path,
        made_by=made_by,
        mel=np.concatenate(mels, axis=1),
        sound=np.concatenate(sounds),
        f0=np.concatenate(tracks),
        frames=[m.shape[1] for m in mels],
        samples=[len(s) for s in sounds],
    )
    say(f"{len(mels)} pairs of made mels and real sound, {total / 60:.0f} minutes")
