"""Voices that nobody has: one speaker's speech with what is lasting of another's.

A student that knows 2,600 people is nearer to its teacher on each of them than on anybody else, whatever their pitch,
their formants, their words or the microphone are changed to: it has learnt people, not voices. What it has not met are
other long-term spectra on the same speech, and other ways in which the bands of the mel move together: with another
speaker's, it is as near to the teacher on known people as on unknown ones. There are as many strangers as pairs of
speakers and shares of them.
"""

import torch
from torch import Tensor

FLOOR = 1e-7
"""Added to energies before the logarithm: 55 dB under speech at the encoder's level."""
SHRINKAGE = 0.02
"""Of the mean variance, added to each band's: the covariance of a few seconds must be inverted."""


def strangers(mels: Tensor, per_speaker: int, generator: torch.Generator, share: float = 0.5) -> Tensor:
    """Batches in which about `share` of the speakers speak with part of the next one's spectrum and movements.

    mels: energies (speakers * per_speaker, T, n_mels), a speaker's side by side: all of these are changed alike.
    Levels are kept. Logarithms of energies are taken as normal and carried from their mean and covariance to those on
    the way to the other speaker's by the optimal transport of one normal distribution to another (Olkin & Pukelsheim
    1982, Linear Algebra and its Applications 48), each an own random part of the way.
    """
    speakers = mels.unflatten(0, (-1, per_speaker))
    logs = torch.log(speakers + FLOOR).flatten(1, 2)
    means = logs.mean(dim=1, keepdim=True)
    centred = logs - means
    here = centred.transpose(1, 2) @ centred / centred.shape[1]
    here = here + SHRINKAGE * here.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * torch.eye(mels.shape[2])
    parts = torch.rand(2, len(speakers), 1, 1, generator=generator)
    chosen = torch.rand(len(speakers), generator=generator) < share
    here, there = here[chosen], here.lerp(here.roll(1, 0), parts[0])[chosen]
    goals = means.lerp(means.roll(1, 0), parts[1])[chosen]
    moved = torch.exp(centred[chosen] @ transport(here, there) + goals).view_as(speakers[chosen])
    made = speakers.clone()
    before, after = (x.mean(dim=(2, 3), keepdim=True) for x in (made[chosen], moved))
    made[chosen] = moved * (before / after.clamp_min(FLOOR))
    return made.flatten(0, 1)


def transport(here: Tensor, there: Tensor) -> Tensor:
    """The symmetric matrices (n, d, d) that take normal distributions of covariance `here` to `there`."""
    root, inverse = power(here, 0.5), power(here, -0.5)
    return inverse @ power(root @ there @ root, 0.5) @ inverse


def power(matrices: Tensor, exponent: float) -> Tensor:
    """Powers of symmetric, positive matrices (n, d, d)."""
    values, vectors = torch.linalg.eigh(matrices)
    return vectors * values.clamp_min(1e-6).pow(exponent)[:, None] @ vectors.transpose(1, 2)
