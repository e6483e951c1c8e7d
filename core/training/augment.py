"""What rooms, microphones and lines do to a voice, done to the mel energies of a whole batch at once.

Working on energies rather than on waves costs a hundredth of the time, which on a CPU goes into more training instead:
noise adds its energy (and the beating of the two, at random), a room smears energy over later frames, a microphone or a
line is a gain per band. Evaluation uses real noise, filters and codecs on waves (`core.evaluation.conditions`).
"""

import torch
from torch import Tensor

from core.audio.mel import mel_filters
from core.audio.partials import ENCODER_MEL, band_centres, band_widths, power_mel
from core.training.spectral import stft_magnitude

FLOOR = 1e-9
"""Energies below this are nothing: 80 dB under speech at the encoder's level."""

SPEED_PARTS = 80
"""A speed is given as so many eightieths: then the frames of sound played faster or slower are whole samples long."""


def played_length(parts: int, n_frames: int) -> int:
    """Samples that make so many frames when they are played at `parts` eightieths of their speed."""
    return n_frames * hop_at(parts)


def hop_at(parts: int) -> int:
    """Samples from frame to frame of a sound that is played at `parts` eightieths of its speed."""
    return ENCODER_MEL.hop_length * parts // SPEED_PARTS


def played(waves: Tensor, parts: int) -> Tensor:
    """Mel energies (n, n_frames, 40) of sound played at `parts` eightieths of its speed: somebody else speaks.

    waves: (n, played_length(parts, n_frames)) at 16 kHz. Nothing is resampled: a frame is of so many samples more as
    the speed is higher, and its frequencies are read as so much higher.
    """
    hop = hop_at(parts)
    magnitudes = stft_magnitude(waves, torch.hann_window(ENCODER_MEL.n_fft * parts // SPEED_PARTS), hop)
    energies = magnitudes[:, : ENCODER_MEL.n_fft // 2 + 1, : waves.shape[1] // hop].square()
    filters = torch.tensor(mel_filters(ENCODER_MEL))[:, : energies.shape[1]]
    return (filters @ energies).transpose(1, 2) * (SPEED_PARTS / parts) ** 2


class Augment:
    """Batches of clean mel energies as the world would deliver them. Deterministic given its seed.

    strength: share of the windows that are spoilt for the student alone.
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

    def speeds(self, n: int) -> list[int]:
        """Of n speakers, in eightieths (see `played`): a tenth faster or slower, give or take."""
        drawn = SPEED_PARTS * torch.exp(0.1 * torch.randn(n, generator=self.generator))
        return drawn.round().int().clamp(64, 100).tolist()

    def rooms(self, n: int, n_frames: int, chance: float, loudest: float) -> Tensor:
        """Matrices (n, n_frames, n_frames) that smear energy over later frames: 0.1 to 0.7 s, `loudest` to -18 dB."""
        age = torch.arange(n_frames)[:, None] - torch.arange(n_frames)[None]
        decay = torch.exp(-13.8 * 0.01 * age.clamp_min(0) / self._between(n, 0.1, 0.7)) * (age > 0)
        decay = decay / decay[:, -1].sum(dim=1)[:, None, None].clamp_min(1e-3)
        return torch.eye(n_frames) + decay * 10 ** (self._between(n, -18, loudest) / 10) * self._chance(n, chance)

    def microphones(self, n: int) -> Tensor:
        """Gains of energy per band, (n, 1, 40): tilts and ripples for half."""
        octaves = torch.log2(self.hz / 1000)
        decibels = self._between(n, -3, 3) * octaves
        decibels = decibels + 3 * torch.sin(octaves * self._between(n, 0.5, 3) + self._between(n, 0, 6.28))
        return 10 ** (decibels * self._chance(n, 0.5) / 10)

    def channels(self, n: int) -> Tensor:
        """Gains of energy per band, (n, 1, 40): telephones, lost trebles and muffled microphones for some."""
        telephone, treble = self._chance(n, 0.22), self._chance(n, 0.25)
        low = torch.where(telephone, self._between(n, 150, 420), self._between(n, 20, 80))
        high = torch.where(telephone, self._between(n, 2900, 4000), self._between(n, 2800, 7500))
        slope = self._between(n, 20, 90)  # dB per octave outside the band
        decibels = -slope * torch.log2(low / self.hz).clamp_min(0)
        decibels = decibels - slope * torch.log2(self.hz / high).clamp_min(0) * (telephone | treble)
        muffled, corner = self._between(n, 5, 12) * self._chance(n, 0.15), self._between(n, 200, 1500)
        decibels = decibels - muffled * torch.log2(self.hz / corner).clamp_min(0)
        return 10 ** (decibels.clamp_min(-70) / 10)

    def hisses(self, n: int, n_frames: int) -> Tensor:
        """Noise of all colours, (n, n_frames, 40), of mean energy 1."""
        first = torch.randint(len(self.hiss) - n_frames, (n,), generator=self.generator)
        hiss = self.hiss[first[:, None] + torch.arange(n_frames)]
        hiss = hiss * (self.hz.clamp_min(60) / 1000) ** -self._between(n, 0, 2.2)
        return hiss / self.level(hiss)

    def noises(self, mels: Tensor) -> Tensor:
        """Something else to hear, of mean energy 1: coloured noise, or some of the batch's other voices together."""
        n, n_frames, _ = mels.shape
        noise = self.hisses(n, n_frames)
        if n > 8:
            shifts = torch.randint(3, n - 3, (4,), generator=self.generator).tolist()
            crowd = sum((mels / self.level(mels)).roll((shift, 17 * shift), (0, 1)) for shift in shifts)
            noise = torch.where(self._chance(n, 0.35), crowd / self.level(crowd), noise)
        return noise

    def _sum(self, heard: Tensor, noise: Tensor) -> Tensor:
        """Both energies, and the beating of the two, at random."""
        beat = 0.6 * torch.randn(heard.shape, generator=self.generator).clamp(-1.5, 1.5)
        return (heard + noise + beat * (heard * noise).sqrt()).clamp_min(FLOOR)

    def recorded(self, mels: Tensor) -> Tensor:
        """The same speech as somebody else records it, well: other microphones, quiet rooms, little noise. Levels are
        kept. The teacher hears these differences, so it is asked after them and its student learns to hear them too.

        mels: energies (B, T, 40) -> the same shape.
        """
        n, n_frames, _ = mels.shape
        heard = torch.bmm(self.rooms(n, n_frames, 0.25, -8), mels) * self.microphones(n)
        hiss = self.hisses(n, n_frames)
        ratio = 10 ** (-self._between(n, 30, 55) / 10) * self._chance(n, 0.6)
        heard = self._sum(heard, hiss * self.level(heard) * ratio)
        return heard * (self.level(mels) / self.level(heard))

    def __call__(self, mels: Tensor) -> Tensor:
        """What the student alone hears: half of it, `strength`, spoilt. Levels are kept.

        mels: energies (B, T, 40) -> the same shape.
        """
        n, n_frames, _ = mels.shape
        heard = torch.bmm(self.rooms(n, n_frames, 0.35, -2), mels)
        ratio = 10 ** (-self._between(n, 3, 28) / 10) * self._chance(n, 0.65)
        noise = self.noises(mels) * self.level(heard) * ratio
        # Noise in the room passes the microphone and the line too; noise of the line does not.
        before = noise * self._chance(n, 0.5)
        gains = self.channels(n)
        heard = self._sum(heard * gains, before * gains + (noise - before))
        heard = heard * (self.level(mels) / self.level(heard))
        return torch.where(self._chance(n, self.strength), heard, mels)
