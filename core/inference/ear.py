"""What voice is heard in a mel that a synthesizer makes, with gradients: by our own encoder, without a vocoder.

The synthesizer's trainer listens with it (a speaker consistency loss as in YourTTS, Casanova et al. 2022, arXiv
2112.02418), and so does `core.inference.tuning`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.audio.mel import mel_filters
from core.audio.partials import ENCODER_MEL, WINDOW_FRAMES, band_centres
from core.inference import registry
from core.inference.registry import Card
from core.types import PROJECT_MEL

STEP = PROJECT_MEL.frame_rate / ENCODER_MEL.frame_rate
"""Frames of the project's mel in one frame of the encoder's: 0.8."""
FRAMES = round(WINDOW_FRAMES * STEP)
"""Of the project's mel in one window of the encoder: 128."""


def band_map() -> Tensor:
    """(80, 40): mean energies of the encoder's bands from the project's, by their overlap; columns sum to 1."""
    filters = mel_filters(ENCODER_MEL)
    hz = np.linspace(0, ENCODER_MEL.sample_rate / 2, filters.shape[1])
    weights = np.stack([np.interp(band_centres(PROJECT_MEL), hz, row) for row in filters], axis=1)
    for band in np.flatnonzero(weights.sum(axis=0) == 0):  # narrower than the distance of the project's bands
        weights[np.abs(band_centres(PROJECT_MEL) - band_centres(ENCODER_MEL)[band]).argmin(), band] = 1
    return torch.from_numpy(weights / weights.sum(axis=0)).float()


class Ear(nn.Module):
    """The encoder of a card, frozen, hearing normalised mels. On 281 real windows of 1.6 s it agrees with the same
    encoder's own front end to a cosine of 0.973."""

    def __init__(self, card: Card, mel_mean: Sequence[float], mel_std: Sequence[float]):
        """card: of a voiceprint; mel_mean, mel_std: what normalises each band of the mels. Raises ModelError."""
        super().__init__()
        self.network = registry.load(card).network
        for name, value in (("mean", torch.tensor(mel_mean)), ("std", torch.tensor(mel_std)), ("bands", band_map())):
            self.register_buffer(name, value, persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, mel: Tensor) -> Tensor:
        """mel: (B, T, 80) normalised, T from about 50 up, at best 128 -> voices (B, 256), norm 1."""
        energy = torch.exp(2 * (mel.float() * self.std + self.mean).clamp(max=3.0)) @ self.bands
        time = torch.arange(int((mel.shape[1] - 1) / STEP) + 1, device=mel.device) * STEP
        before = time.long().clamp(max=mel.shape[1] - 2)
        part = (time - before)[None, :, None]
        energy = energy[:, before] * (1 - part) + energy[:, before + 1] * part
        return self.network.soft(energy)


def ear_card(folder: Path, space: str) -> Card | None:
    """The best encoder in the folder that can be an ear for voices of a space, or None."""
    cards, _ = registry.available(folder)
    return next((c for c in cards["encoder"] if c.architecture == "voiceprint" and c.space == space), None)
