"""What the synthesizer learns from: symbols with durations and prosody, and mels, in pieces of a few seconds.

Per symbol: frames it lasts, log F0 at three points, share of voiced frames, mean level. Pauses are symbols of their
own, with the time the reader took. Kept under `cache/` in chunks: `features_<name>.npz` and `features_<name>.mel.npy`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.audio.mel import mel_spectrogram
from core.text.symbols import ALPHABETS, BOUNDARY, END, LONG_PAUSE, SHORT_PAUSE, START, Phone
from core.training.alignment import Aligned
from core.training.data import SAMPLE_RATE, SpeechCache
from core.training.guise import Guise, disguise, guise_of
from core.types import PROJECT_MEL, Waveform

ALPHABET = ALPHABETS["ipa-1"]
SPEECH_LEVEL = 0.06  # RMS of the speech in every utterance: about -24 dB
SHORTEST_PAUSE, LONG = 0.08, 0.25  # seconds: below is no pause, from LONG on a long one
MARGIN = 0.06  # silence kept at the edges of a piece, seconds
PIECE = 9.0  # longer stretches are cut, seconds
FRAME_RATE = PROJECT_MEL.frame_rate
KINDS = {"clean": 0, "lossy": 1, "accented": 2, "crowd": 3}
KIND_OF_SET = {"librispeech_dev-clean_mp3": "lossy", "speechocean762": "accented", "common_voice_en_100": "crowd"}


@dataclass(frozen=True)
class Token:
    """A symbol with its times, seconds from the start of the utterance."""

    symbol: Phone
    start: float
    end: float


def onset_and_end(samples: np.ndarray, floor_db: float = -38.0) -> tuple[float, float]:
    """Seconds of the first and last 10 ms that reach `floor_db` below the loud parts."""
    hop = SAMPLE_RATE // 100
    energy = np.sqrt(np.mean(samples[: len(samples) // hop * hop].reshape(-1, hop) ** 2, axis=1) + 1e-12)
    loud = np.flatnonzero(energy > np.percentile(energy, 95) * 10 ** (floor_db / 20))
    return (loud[0] * 0.01, (loud[-1] + 1) * 0.01) if len(loud) else (0.0, len(samples) / SAMPLE_RATE)


def tokens_of(aligned: Aligned, samples: np.ndarray) -> list[Token]:
    """The alignment as the synthesizer's symbols, edges included: word boundaries last no time, pauses their own."""
    onset, end = onset_and_end(samples)
    spoken = np.flatnonzero(aligned.word >= 0)
    first, last = spoken[0], spoken[-1]
    begin = min(max(float(aligned.starts[first]), onset - 0.02), max(0.0, float(aligned.ends[first]) - 0.03))
    finish = max(min(float(aligned.ends[last]), end + 0.04), float(aligned.starts[last]) + 0.03)
    tokens = [Token(Phone(START), max(0.0, begin - MARGIN), begin)]
    silence: tuple[float, float] | None = None
    word = int(aligned.word[first])
    for k in range(first, last + 1):
        start, stop = float(aligned.starts[k]), float(aligned.ends[k])
        if aligned.word[k] < 0:
            silence = (silence[0] if silence else start, stop)
            continue
        if k == first:
            start = begin
        if k == last:
            stop = finish
        if aligned.word[k] != word:
            word = int(aligned.word[k])
            if silence and silence[1] - silence[0] >= SHORTEST_PAUSE:
                kind = SHORT_PAUSE if silence[1] - silence[0] < LONG else LONG_PAUSE
                tokens.append(Token(Phone(kind), *silence))
            else:
                if silence:  # too short to be a pause: the end of the phone before
                    tokens[-1] = Token(tokens[-1].symbol, tokens[-1].start, silence[1])
                tokens.append(Token(Phone(BOUNDARY), start, start))
        silence = None
        tokens.append(Token(Phone(str(aligned.letters[k]), int(aligned.stress[k])), start, stop))
    tokens.append(Token(Phone(END), finish, min(finish + MARGIN, len(samples) / SAMPLE_RATE)))
    return tokens


def cut(tokens: list[Token], longest: float = PIECE) -> list[list[Token]]:
    """Pieces of at most about `longest` seconds, cut in the pauses (else between words) nearest to the middle.

    A pause that is cut stays at both sides, shortened to the margin.
    """
    start, end = tokens[0].start, tokens[-1].end
    if end - start <= longest:
        return [tokens]
    middle = (start + end) / 2
    best, best_cost = None, 1e9
    for k in range(2, len(tokens) - 2):
        token = tokens[k]
        if token.symbol.letters in (SHORT_PAUSE, LONG_PAUSE, BOUNDARY):
            cost = abs((token.start + token.end) / 2 - middle) - 4 * min(token.end - token.start, 0.5)
            cost += 3 if token.symbol.letters == BOUNDARY else 0
            if min(token.start - start, end - token.end) > 1.0 and cost < best_cost:
                best, best_cost = k, cost
    if best is None:
        return [tokens]
    pause = tokens[best]
    left = Token(pause.symbol, pause.start, min(pause.end, pause.start + MARGIN))
    right = Token(pause.symbol, max(pause.start, pause.end - MARGIN), pause.end)
    return cut([*tokens[:best], left], longest) + cut([right, *tokens[best + 1 :]], longest)


def frames_of(tokens: list[Token], n_frames: int) -> np.ndarray:
    """int16 (n_tokens,) summing to n_frames: frames whose centre falls into each token; phones get at least one."""
    start = tokens[0].start
    edges = np.round((np.array([t.end for t in tokens]) - start) * FRAME_RATE).astype(int)
    edges[-1] = n_frames
    least = np.array([t.symbol.letters != BOUNDARY for t in tokens]).astype(int)
    for k in range(len(edges)):
        edges[k] = max(edges[k], (edges[k - 1] if k else 0) + least[k])
    for k in range(len(edges) - 1, 0, -1):  # what overran the end is taken back
        edges[k - 1] = min(edges[k - 1], edges[k] - least[k])
    return np.diff(edges, prepend=0).astype(np.int16)


def pitch(samples: np.ndarray, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Log F0 with gaps bridged, float32 (n_frames,), and which frames are voiced, bool (n_frames,)."""
    import pyworld

    sound = samples.astype(np.float64)
    period = 1000 / FRAME_RATE
    f0, times = pyworld.dio(sound, SAMPLE_RATE, f0_floor=60, f0_ceil=500, frame_period=period, speed=2)
    f0 = pyworld.stonemask(sound, f0, times, SAMPLE_RATE)
    f0 = np.pad(f0, (0, max(0, n_frames - len(f0))))[:n_frames]
    voiced = f0 > 0
    if voiced.any():  # an octave from the speaker's middle is a mistake of the tracker
        middle = np.median(f0[voiced])
        voiced &= (f0 > middle / 2) & (f0 < middle * 2.2)
    if voiced.sum() < 4:
        return np.full(n_frames, np.log(140), np.float32), np.zeros(n_frames, bool)
    log_f0 = np.interp(np.arange(n_frames), np.flatnonzero(voiced), np.log(f0[voiced]))
    return log_f0.astype(np.float32), voiced


def _piece(samples: np.ndarray, tokens: list[Token]) -> dict[str, np.ndarray] | None:
    """Features of one piece, or None if it is too short to learn from."""
    sound = samples[round(tokens[0].start * SAMPLE_RATE) : round(tokens[-1].end * SAMPLE_RATE)]
    if len(sound) < SAMPLE_RATE // 2:
        return None
    mel = mel_spectrogram(Waveform(sound, SAMPLE_RATE), PROJECT_MEL).frames.T
    frames = frames_of(tokens, len(mel))
    if (frames < 0).any() or frames.sum() != len(mel):  # more phones than frames: a slip of the aligner
        return None
    log_f0, voiced = pitch(sound, len(mel))
    ends = np.cumsum(frames.astype(int))
    thirds = np.zeros((len(tokens), 3), np.float32)
    share, level = np.zeros(len(tokens), np.float32), np.zeros(len(tokens), np.float32)
    loudness = mel.mean(axis=1)
    for k, (end, n) in enumerate(zip(ends, frames, strict=True)):
        a, b = (end - n, end) if n else (min(end, len(mel) - 1), min(end, len(mel) - 1) + 1)
        share[k] = voiced[a:b].mean() if n else 0
        level[k] = loudness[a:b].mean()
        for point in range(3):
            at = a + (b - a) * (2 * point + 1) / 6 - 0.5
            thirds[k, point] = np.interp(
                at, (np.floor(at), np.floor(at) + 1), log_f0[np.clip([int(at), int(at) + 1], 0, len(mel) - 1)]
            )
    ids = ALPHABET.encode([t.symbol for t in tokens])
    return {"ids": ids, "frames": frames, "f0": thirds, "voiced": share, "level": level, "mel": mel.astype(np.float16)}


def _utterance(samples: np.ndarray, aligned: Aligned, guise: Guise) -> list[dict[str, np.ndarray]]:
    """Features of the pieces of one utterance."""
    samples, speed = disguise(samples, guise), guise.speed
    if speed != 1:
        aligned = Aligned(aligned.letters, aligned.stress, aligned.word, aligned.starts / speed, aligned.ends / speed)
    tokens = tokens_of(aligned, samples)
    a, b = round(tokens[0].end * SAMPLE_RATE), round(tokens[-1].start * SAMPLE_RATE)
    spoken = samples[a:b] if b > a else samples
    samples = samples * (SPEECH_LEVEL / (np.sqrt(np.mean(spoken**2)) + 1e-6))
    samples = samples / max(1.0, np.abs(samples).max() / 0.98)
    pieces = [_piece(samples, piece) for piece in cut(tokens)]
    return [piece for piece in pieces if piece is not None]


def make_part(
    path: Path,
    cache: SpeechCache,
    alignments: dict[str, Aligned],
    indices: Sequence[int],
    guises: dict[int, int] | None = None,
) -> None:
    """Computes and writes one part: `path` (.npz), and the mels beside it.

    guises: index -> number of the guise that its speaker wears: another speaker, called "<speaker>@<number>".
    """
    columns: dict[str, list] = {k: [] for k in ("ids", "frames", "f0", "voiced", "level", "mel")}
    about: dict[str, list] = {k: [] for k in ("utt_ids", "speakers", "splits", "kinds", "n_tokens", "n_frames")}
    # An utterance of which only stretches are known has one alignment for each: "<utt_id>", "<utt_id>#1", ...
    stretches: dict[str, list[Aligned]] = {}
    for key, aligned in alignments.items():
        stretches.setdefault(key.split("#")[0], []).append(aligned)
    for i in indices:
        row, number = cache.rows[i], (guises or {}).get(i, 0)
        guise, suffix = guise_of(row.speaker, number), f"@{number}" if number else ""
        own = stretches.get(row.utt_id, [])
        for piece in (p for aligned in own for p in _utterance(cache.samples(i), aligned, guise)):
            for key, values in columns.items():
                values.append(piece[key])
            # Slowed down, the upper octave is empty, as in the lossy set.
            kind = KINDS["lossy" if guise.speed < 1 else KIND_OF_SET.get(row.set, "clean")]
            values = (row.utt_id + suffix, row.speaker + suffix, row.split, kind, len(piece["ids"]), len(piece["mel"]))
            for key, value in zip(about, values, strict=True):
                about[key].append(value)
    np.save(path.with_suffix(".mel.npy"), np.concatenate(columns.pop("mel")))
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez(
            file, **{k: np.concatenate(v) for k, v in columns.items()}, **{k: np.array(v) for k, v in about.items()}
        )
    beside.replace(path)
