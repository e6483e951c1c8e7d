"""What rooms, microphones and lines do to a voice, done to the mel energies of a whole batch at once.

Working on energies rather than on waves costs a hundredth of the time, which on a CPU goes into more training instead:
noise adds its energy (and the beating of the two, at random), a room smears energy over later frames, a microphone or a
line is a gain per band. Evaluation uses real noise, filters and codecs on waves (`core.evaluation.conditions`).
"""

import torch
from torch import Tensor

from core.audio.partials import ENCODER_MEL, band_centres, band_widths, power_mel

FLOOR = 1e-9
"""Energies below this are nothing: 80 dB under speech at the encoder's level."""


class Augment:
    """Batches of clean mel energies as the world would deliver them. Deterministic given its seed.

    strength: share of windows that anything at all happens to.
    """

    def __init__(self, seed: int = 0, strength: float = 0.75):
        self.strength = strength
        self.generator = torch.Generator().manual_seed(seed)
        self.hz, self.widths = (torch.from_numpy(x) for x in (band_centres(), band_widths()))
        hiss = torch.randn(40 * ENCODER_MEL.sample_rate, generator=self.generator)
        self.hiss = torch.from_numpy(power_mel(hiss.numpy()))

    def _chance(self, n: int, probability: float) -> Tensor:
        return torch.rand(n, 1, 1, generator=self.generator) < probability

    def _between(self, n: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, generator=self.generator)

    def level(self, mels: Tensor) -> Tensor:
        """Mean energy of each window, (B, 1, 1)."""
        return (mels * self.widths).mean(dim=(1, 2), keepdim=True).clamp_min(FLOOR)

    def rooms(self, n: int, n_frames: int) -> Tensor:
        """Matrices (n, n_frames, n_frames) that smear energy over later frames: 0.1 to 0.7 s, 2 to 18 dB below."""
        age = torch.arange(n_frames)[:, None] - torch.arange(n_frames)[None]
        decay = torch.exp(-13.8 * 0.01 * age.clamp_min(0) / self._between(n, 0.1, 0.7)) * (age > 0)
        decay = decay / decay[:, -1].sum(dim=1)[:, None, None].clamp_min(1e-3)
        return torch.eye(n_frames) + decay * 10 ** (-self._between(n, 2, 18) / 10) * self._chance(n, 0.35)

    def channels(self, n: int) -> Tensor:
        """Gains of energy per band, (n, 1, 40): tilts and ripples for most, telephones, lost trebles and muffled
        microphones for some."""
        octaves = torch.log2(self.hz / 1000)
        decibels = self._between(n, -4, 4) * octaves
        decibels = decibels + 3 * torch.sin(octaves * self._between(n, 0.5, 3) + self._between(n, 0, 6.28))
        decibels = decibels * self._chance(n, 0.6)
        telephone, treble = self._chance(n, 0.22), self._chance(n, 0.25)
        low = torch.where(telephone, self._between(n, 150, 420), self._between(n, 20, 80))
        high = torch.where(telephone, self._between(n, 2900, 4000), self._between(n, 2800, 7500))
        slope = self._between(n, 20, 90)  # dB per octave outside the band
        decibels = decibels - slope * torch.log2(low / self.hz).clamp_min(0)
        decibels = decibels - slope * torch.log2(self.hz / high).clamp_min(0) * (telephone | treble)
        muffled, corner = self._between(n, 3, 12) * self._chance(n, 0.15), self._between(n, 200, 1500)
        decibels = decibels - muffled * torch.log2(self.hz / corner).clamp_min(0)
        return 10 ** (decibels.clamp(-70, 20) / 10)

    def noises(self, mels: Tensor) -> Tensor:
        """Something else to hear, of mean energy 1: coloured noise, or some of the batch's other voices together."""
        n, n_frames, _ = mels.shape
        first = torch.randint(len(self.hiss) - n_frames, (n,), generator=self.generator)
        hiss = self.hiss[first[:, None] + torch.arange(n_frames)]
        hiss = hiss * (self.hz.clamp_min(60) / 1000) ** -self._between(n, 0, 2.2)
        if n > 8:
            shifts = torch.randint(3, n - 3, (4,), generator=self.generator).tolist()
            crowd = sum((mels / self.level(mels)).roll((shift, 17 * shift), (0, 1)) for shift in shifts)
            hiss = torch.where(self._chance(n, 0.35), crowd, hiss)
        return hiss / self.level(hiss)

    def strangers(self, mels: Tensor, per_speaker: int, furthest: float = 3.0) -> Tensor:
        """The same words of people who do not exist: all bands moved up or down by up to `furthest`.

        mels: (B, T, 40), a speaker's `per_speaker` windows side by side; they remain one speaker's.
        """
        n, n_frames, n_mels = mels.shape
        moved = self._between(n // per_speaker, -furthest, furthest).repeat_interleave(per_speaker, dim=0)
        place = torch.arange(n_mels) + moved
        place = place.clamp(0, n_mels - 1)
        low = place.floor().long().clamp(max=n_mels - 2)
        part = place - low
        low = low.expand(-1, n_frames, -1)
        return mels.gather(2, low) * (1 - part) + mels.gather(2, low + 1) * part

    def __call__(self, mels: Tensor) -> Tensor:
        """mels: energies (B, T, 40) -> the same shape; levels are not kept."""
        n, n_frames, _ = mels.shape
        heard = torch.bmm(self.rooms(n, n_frames), mels)
        ratio = 10 ** (-self._between(n, 3, 30) / 10) * self._chance(n, 0.65)
        noise = self.noises(mels) * self.level(heard) * ratio
        # Noise in the room passes the microphone and the line too; noise of the line does not.
        before = noise * self._chance(n, 0.5)
        gains = self.channels(n)
        heard, noise = heard * gains, before * gains + (noise - before)
        beat = 0.6 * torch.randn(heard.shape, generator=self.generator).clamp(-1.5, 1.5)
        heard = (heard + noise + beat * (heard * noise).sqrt()).clamp_min(FLOOR)
        return torch.where(self._chance(n, self.strength), heard, mels)
