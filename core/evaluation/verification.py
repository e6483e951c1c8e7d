"""How well embeddings tell speakers apart: equal error rate and similarities. Numpy only."""

import numpy as np


def pair_similarities(vectors: np.ndarray, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all pairs of two utterances, apart for pairs of one speaker and of two.

    vectors: (n, d) of norm 1; speakers: (n,) names. Returns float32 (n_same,), (n_different,).
    """
    first, second = np.triu_indices(len(vectors), 1)
    scores = (vectors @ vectors.T)[first, second]
    same = speakers[first] == speakers[second]
    return scores[same], scores[~same]


def equal_error_rate(same: np.ndarray, different: np.ndarray) -> float:
    """The share of wrong answers at the threshold where both kinds of error are as frequent, in [0, 1].

    same, different: scores of pairs that should, and should not, be accepted. NaN if either is empty.
    """
    if not len(same) or not len(different):
        return float("nan")
    same, different = np.sort(same), np.sort(different)
    thresholds = np.concatenate([same, different])
    misses = np.searchsorted(same, thresholds, side="left") / len(same)
    false_alarms = 1 - np.searchsorted(different, thresholds, side="left") / len(different)
    best = np.argmin(np.abs(misses - false_alarms))
    return float((misses[best] + false_alarms[best]) / 2)
