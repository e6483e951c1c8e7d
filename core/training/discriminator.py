"""Light discriminators of spectrograms at three resolutions, and the hinge losses around them.

Source: the multi-resolution discriminator of UnivNet (Jang et al. 2021), here on complex spectra (as EnCodec does,
Défossez et al. 2022), with few channels so that a CPU can afford it.
"""

import torch
from torch import Tensor, nn

Judged = list[tuple[Tensor, list[Tensor]]]
"""Per resolution: scores and the features of each layer, the real half of the batch first, the made half second."""


class OneResolution(nn.Module):
    """Sound (B, n) -> scores and features, from its complex spectrogram of one window size."""

    def __init__(self, size: int, channels: int):
        super().__init__()
        self.hop = size // 4
        self.register_buffer("window", torch.hann_window(size))
        strides = [(1, 1), (2, 1), (2, 1), (2, 1), (1, 1)]
        inputs = [3] + [channels] * 4
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(
                nn.Conv2d(i, channels, (5 if s[0] > 1 else 3, 3), s, (2 if s[0] > 1 else 1, 1))
            )
            for i, s in zip(inputs, strides, strict=True)
        )
        self.score = nn.utils.parametrizations.weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, samples: Tensor) -> tuple[Tensor, list[Tensor]]:
        with torch.autocast(samples.device.type, enabled=False):
            frames = samples.float().unfold(1, len(self.window), self.hop) * self.window
            spectrum = torch.view_as_real(torch.fft.rfft(frames, dim=-1)[..., :-1])  # (B, frames, F, 2)
            size = (spectrum.square().sum(-1, keepdim=True) + 1e-8).sqrt()
            # compressed: the same phases, magnitudes to the power 0.3, and the log magnitude
            x = torch.cat([spectrum * size**-0.7, torch.log(size + 1e-3) * 0.3], -1).permute(0, 3, 2, 1)
        features = []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.score(x), features


class SpectrogramDiscriminator(nn.Module):
    """Judges sound at several window sizes."""

    def __init__(self, channels: int = 16, sizes: tuple[int, ...] = (1024, 512, 256)):
        super().__init__()
        self.parts = nn.ModuleList(OneResolution(size, channels) for size in sizes)

    def forward(self, samples: Tensor) -> Judged:
        return [part(samples) for part in self.parts]


def discriminator_loss(judged: Judged) -> Tensor:
    """Hinge: real above 1, made below -1."""
    loss = 0.0
    for score, _ in judged:
        real, made = score.float().chunk(2)
        loss = loss + torch.relu(1 - real).mean() + torch.relu(1 + made).mean()
    return loss / len(judged)


def adversarial_losses(judged: Judged) -> tuple[Tensor, Tensor]:
    """(to be taken for real, to look alike in every layer)."""
    fool, alike = 0.0, 0.0
    for score, features in judged:
        fool = fool - score.float().chunk(2)[1].mean()
        for layer in features:
            real, made = layer.float().chunk(2)
            alike = alike + (made - real.detach()).abs().mean() / real.detach().abs().mean().clamp_min(1e-4)
    return fool / len(judged), alike / (len(judged) * len(judged[0][1]))
