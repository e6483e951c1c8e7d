"""Judges of speech shared by the evaluations: a recogniser, a predictor of opinion scores, a pitch tracker.

All need packages of the evaluation alone (requirements-train.txt), imported where they are used. Sound is float32 (n,),
16 kHz, in [-1, 1].
"""

import os
import re
from functools import lru_cache

import numpy as np

from core.errors import VoiceError

SAMPLE_RATE = 16000


def missing(package: str) -> VoiceError:
    return VoiceError(
        f"This evaluation needs the package {package}.", "Install it with: pip install -r requirements-train.txt"
    )


@lru_cache(maxsize=1)
def _recogniser():
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise missing("pocketsphinx") from error
    return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")


def recognise(samples: np.ndarray) -> str:
    """The words pocketsphinx's default English model hears, lower case, separated by blanks.

    Its running cepstral mean is set back first, so that the answer does not depend on what was heard before.
    """
    decoder = _recogniser()
    decoder.reinit_feat() if hasattr(decoder, "reinit_feat") else None
    peak = float(np.abs(samples).max(initial=0.0))
    level = min(1.0, 0.9 / peak) if peak > 0 else 1.0
    decoder.start_utt()
    decoder.process_raw((np.asarray(samples) * level * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return re.sub(r"\(\d+\)", "", heard.hypstr).lower() if heard else ""


def plain_words(text: str) -> list[str]:
    """Words for counting errors: lower case, letters and inner apostrophes only."""
    return re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower().replace("’", "'"))


def edit_distance(reference: list, hypothesis: list) -> int:
    """Fewest insertions, deletions and replacements that turn one sequence into the other."""
    row = list(range(len(hypothesis) + 1))
    for i, a in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """(word errors, words of the reference). Sum both over sentences before dividing."""
    words = plain_words(reference)
    return edit_distance(words, plain_words(hypothesis)), len(words)


def character_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """(character errors, characters of the reference), blanks between words counted."""
    reference, hypothesis = " ".join(plain_words(reference)), " ".join(plain_words(hypothesis))
    return edit_distance(list(reference), list(hypothesis)), len(reference)


@lru_cache(maxsize=1)
def _opinions():
    """The module speechmos.dnsmos, its networks on one thread: left alone they take every core."""
    try:
        import onnxruntime
        from speechmos import dnsmos as judge
    except ImportError as error:
        raise missing("speechmos") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    folder = os.path.join(os.path.dirname(os.path.abspath(judge.__file__)), "dnsmos_models")
    paths = [os.path.join(folder, name) for name in ("sig_bak_ovr.onnx", "model_v8.onnx")]
    judge.dnsmos = judge.DNSMOS(*paths)
    judge.dnsmos.onnx_sess, judge.dnsmos.p808_onnx_sess = (
        onnxruntime.InferenceSession(path, options) for path in paths
    )
    return judge


def dnsmos(samples: np.ndarray) -> dict[str, float]:
    """Predicted mean opinion scores, 1 to 5: "overall", "signal", "background" (P.835) and "p808".

    Source: Reddy et al. 2022, DNSMOS P.835, run by the package speechmos.
    """
    scores = _opinions().run(np.clip(np.asarray(samples, np.float32), -1, 1), sr=SAMPLE_RATE)
    names = {"overall": "ovrl_mos", "signal": "sig_mos", "background": "bak_mos", "p808": "p808_mos"}
    return {name: float(scores[key]) for name, key in names.items()}


def pitch(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F0 in Hz, voiced), one value every 12.5 ms. F0 is 0 where unvoiced. Tracked by Praat's autocorrelation."""
    from core.training.pitch import track_pitch

    f0 = track_pitch(samples)
    return f0, f0 > 0


def pitch_errors(reference: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """How the pitch of `made` differs from that of `reference`.

    "cents": RMSE over frames voiced in both; "cents_median" of the same; "gross": their share wrong by over half an
    octave; "voicing": share of all frames voiced in only one of them. "cents_steady": RMSE over frames whose
    neighbours are voiced too, within a semitone, in both sounds: at the edges of voicing and at jumps the tracker errs
    even between two copies of one recording.
    """
    from core.training.pitch import trusted

    (f0, voiced), (f0_made, voiced_made) = pitch(reference), pitch(made)
    n = min(len(f0), len(f0_made))
    both = voiced[:n] & voiced_made[:n]
    steady = (trusted(f0[:n]) > 0) & (trusted(f0_made[:n]) > 0)
    cents = 1200 * np.log2(f0_made[:n][both] / f0[:n][both]) if both.any() else np.zeros(1)
    return {
        "cents_steady": float(np.sqrt(np.mean(cents[steady[both]] ** 2))) if steady.any() else 0.0,
        "cents": float(np.sqrt(np.mean(cents**2))),
        "cents_median": float(np.median(np.abs(cents))),
        "gross": float(np.mean(np.abs(cents) > 600)),
        "voicing": float(np.mean(voiced[:n] != voiced_made[:n])),
    }
