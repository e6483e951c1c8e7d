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


def enrolled_similarities(
    vectors: np.ndarray, speakers: np.ndarray, enrolment: int = 5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of each utterance with every speaker's voice: the mean of `enrolment` of the speaker's other utterances.

    This is how the toolbox uses voices, and how GE2E is verified (Wan et al. 2018, sec. 3.1).
    Returns float32 (n,), (n * (n_speakers - 1),).
    """
    rng = np.random.default_rng(seed)
    same, different = [], []
    members = {speaker: np.flatnonzero(speakers == speaker) for speaker in np.unique(speakers)}
    for i, vector in enumerate(vectors):
        for speaker, own in members.items():
            others = rng.permutation(own[own != i])[:enrolment]
            if len(others):
                voice = vectors[others].mean(axis=0)
                (same if speaker == speakers[i] else different).append(
                    vector @ voice / max(np.linalg.norm(voice), 1e-9)
                )
    return np.array(same, np.float32), np.array(different, np.float32)


def leave_one_out_similarities(vectors: np.ndarray, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of each utterance with the mean of all others of its speaker, and with every other speaker's mean.

    Source: Wan et al. 2018, "Generalized End-to-End Loss for Speaker Verification", eqs. 8 and 9. A speaker heard once
    has no similarity to itself. Returns float32 (n_same,), (n * (n_speakers - 1),).
    """
    names, who, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    sums = np.zeros((len(names), vectors.shape[1]), np.float32)
    np.add.at(sums, who, vectors)
    others = (sums[who] - vectors)[counts[who] > 1]
    own = (vectors[counts[who] > 1] * others).sum(axis=1) / np.linalg.norm(others, axis=1).clip(1e-9)
    scores = vectors @ (sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(1e-9)).T
    return own, scores[np.arange(len(names)) != who[:, None]]


def leave_one_out_error(
    vectors: np.ndarray, speakers: np.ndarray, per_speaker: int = 10, draws: int = 100, seed: int = 0
) -> float:
    """The equal error rate of `leave_one_out_similarities`, the mean over draws of per_speaker utterances of each."""
    rng, rates = np.random.default_rng(seed), []
    members = [np.flatnonzero(speakers == speaker) for speaker in np.unique(speakers)]
    for _ in range(draws):
        drawn = np.concatenate([rng.permutation(own)[:per_speaker] for own in members])
        rates.append(equal_error_rate(*leave_one_out_similarities(vectors[drawn], speakers[drawn])))
    return float(np.mean(rates))


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
