"""Spectra in torch: the project's mel as `core.audio.mel` makes it, and losses between spectra of several
resolutions."""

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, pad

from core.audio.mel import mel_filters, stft_window
from core.types import MelFormat


class MelLayer(nn.Module):
    """Sound (B, n) -> natural-log mel (B, n_mels, 1 + n // hop_length), equal to `core.audio.mel.mel_spectrogram`."""

    def __init__(self, format: MelFormat):
        super().__init__()
        self.format = format
        self.register_buffer("filters", torch.tensor(mel_filters(format)))
        self.register_buffer("window", torch.tensor(stft_window(format)))

    def forward(self, samples: Tensor) -> Tensor:
        magnitude = stft_magnitude(samples, self.window, self.format.hop_length)
        return torch.log((self.filters @ magnitude).clamp_min(self.format.floor))


def stft_magnitude(samples: Tensor, window: Tensor, hop: int) -> Tensor:
    """(B, n) -> magnitudes (B, F, frames), centred, reflected. The tiny term keeps the gradient at silence finite."""
    half = len(window) // 2
    frames = pad(samples[:, None], (half, half), mode="reflect")[:, 0].unfold(1, len(window), hop) * window
    spectrum = torch.view_as_real(torch.fft.rfft(frames, dim=-1))
    return (spectrum.square().sum(-1) + 1e-14).sqrt().transpose(1, 2)


class SpectralLoss(nn.Module):
    """L1 of log magnitudes and spectral convergence, averaged over resolutions.

    Source: Yamamoto et al. 2020, "Parallel WaveGAN", sec. 2.2.
    """

    def __init__(self, sizes: tuple[int, ...] = (1024, 512, 256, 128), floor: float = 3e-3):
        super().__init__()
        self.floor = floor
        self.sizes = sizes
        for size in sizes:
            self.register_buffer(f"window{size}", torch.hann_window(size))

    def forward(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """(B, n) twice -> (log magnitude loss, convergence loss)."""
        logs, convergences = 0.0, 0.0
        for size in self.sizes:
            window = getattr(self, f"window{size}")
            with torch.no_grad():
                theirs = stft_magnitude(real, window, size // 4)
            ours = stft_magnitude(made, window, size // 4)
            logs = logs + l1_loss(torch.log(ours + self.floor), torch.log(theirs + self.floor))
            difference = (ours - theirs).flatten(1).norm(dim=1) / (theirs.flatten(1).norm(dim=1) + 1e-2)
            convergences = convergences + difference.mean()
        return logs / len(self.sizes), convergences / len(self.sizes)


def blurred(mel: Tensor, share: float) -> Tensor:
    """Mel (B, n_mels, T) with about `share` of its items smoothed in time and across bands, as a synthesizer's mels
    are: from those, too, natural sound must come."""
    places = torch.arange(-6, 7, device=mel.device, dtype=mel.dtype)

    def smooth(x: Tensor, sigma: float) -> Tensor:  # along the last axis, the edges held
        kernel = torch.softmax(-0.5 * (places / sigma) ** 2, 0)
        flat = torch.nn.functional.pad(x.flatten(0, 1)[:, None], (6, 6), mode="replicate")
        return torch.nn.functional.conv1d(flat, kernel[None, None])[:, 0].reshape(x.shape)

    result = mel.clone()
    for i in torch.nonzero(torch.rand(len(mel)) < share).flatten().tolist():
        in_time, across = float(0.3 + 1.7 * torch.rand(())), float(0.2 + 0.6 * torch.rand(()))
        result[i : i + 1] = smooth(smooth(mel[i : i + 1], in_time).transpose(1, 2), across).transpose(1, 2)
    return result
