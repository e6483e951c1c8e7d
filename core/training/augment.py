"""What rooms, microphones and lines do to a voice, for a whole batch at once: torch, mostly in the frequency domain."""

import torch
from torch import Tensor

SAMPLE_RATE = 16000


def _chance(n: int, probability: float, generator: torch.Generator) -> Tensor:
    """Bool (n, 1), each true with `probability`."""
    return torch.rand(n, 1, generator=generator) < probability


def _between(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Float32 (n, 1), uniform."""
    return low + (high - low) * torch.rand(n, 1, generator=generator)


def rooms(n: int, n_samples: int, generator: torch.Generator) -> Tensor:
    """Impulse responses of simple rooms (n, n_samples): the direct sound, then a decaying noise.

    The reverberation time is 0.1 to 0.7 s, the tail 3 to 20 dB below the direct sound.
    """
    t = torch.arange(n_samples) / SAMPLE_RATE
    decay = torch.exp(-6.9 * t / _between(n, 0.1, 0.7, generator))
    tail = torch.randn(n, n_samples, generator=generator) * decay
    tail[:, :40] = 0
    tail = tail / tail.norm(dim=1, keepdim=True) * 10 ** (-_between(n, 3, 20, generator) / 20)
    tail[:, 0] = 1
    return tail


def channels(n: int, hz: Tensor, generator: torch.Generator) -> Tensor:
    """Gains over the frequencies hz, (n, len(hz)): tilts for all, telephones and cut-off trebles for some."""
    octaves = torch.log2(hz.clamp_min(100) / 1000)
    decibels = _between(n, -3, 3, generator) * octaves
    decibels = decibels + 3 * torch.sin(octaves * _between(n, 0.5, 3, generator) + _between(n, 0, 6.28, generator))
    decibels = decibels * _chance(n, 0.6, generator)
    telephone, treble = _chance(n, 0.25, generator), _chance(n, 0.25, generator)
    low = torch.where(telephone, _between(n, 150, 420, generator), _between(n, 20, 80, generator))
    high = torch.where(telephone, _between(n, 2900, 4000, generator), _between(n, 2800, 7500, generator))
    slope = _between(n, 25, 90, generator)  # dB per octave outside the band
    decibels = decibels - slope * torch.log2(low / hz.clamp_min(1)).clamp_min(0)
    decibels = decibels - (slope * torch.log2(hz.clamp_min(1) / high).clamp_min(0)) * (telephone | treble)
    return 10 ** (decibels.clamp_min(-80) / 20)


def noises(waves: Tensor, generator: torch.Generator) -> Tensor:
    """Something else to hear, (n, n_samples) of RMS 1: coloured noise, or several of the batch's other voices."""
    n, n_samples = waves.shape
    spectrum = torch.fft.rfft(torch.randn(n, n_samples, generator=generator))
    slope = _between(n, 0, 1.2, generator)
    spectrum = spectrum * torch.arange(1, spectrum.shape[1] + 1).clamp_min(n_samples // 400) ** -slope
    noise = torch.fft.irfft(spectrum, n=n_samples)
    babble = sum(
        waves.roll((shift, 997 * shift), (0, 1)) for shift in torch.randint(5, n, (4,), generator=generator).tolist()
    )
    result = torch.where(_chance(n, 0.35, generator), babble if n > 5 else noise, noise)
    return result / result.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-6)


def mu_law(waves: Tensor, bits: int = 8) -> Tensor:
    """Waves as an ISDN line would carry them, same shape."""
    peak = waves.abs().amax(dim=1, keepdim=True).clamp_min(1e-6)
    mu = 2.0**bits - 1
    squeezed = torch.sign(waves) * torch.log1p(mu * (waves / peak).abs()) / torch.log1p(torch.tensor(mu))
    squeezed = (squeezed * (mu / 2)).round() / (mu / 2)
    return peak * torch.sign(squeezed) * ((1 + mu) ** squeezed.abs() - 1) / mu


def augment(waves: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """A batch of clean windows as the world would deliver them.

    waves: float32 (n, n_samples) at 16 kHz. strength: share of windows that anything at all happens to.
    Returns the same shape; levels are not kept.
    """
    n, n_samples = waves.shape
    tail = 8000
    n_fft = n_samples + tail
    spectrum = torch.fft.rfft(waves, n=n_fft)
    hz = torch.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    in_room = _chance(n, 0.35, generator)[:, 0].nonzero()[:, 0]
    if len(in_room):
        responses = rooms(len(in_room), tail, generator)
        spectrum[in_room] = spectrum[in_room] * torch.fft.rfft(responses, n=n_fft)
    noise = noises(waves, generator)
    level = waves.square().mean(dim=1, keepdim=True).sqrt()
    ratio = 10 ** (-_between(n, 4, 30, generator) / 20) * _chance(n, 0.65, generator)
    # Noise in the room passes the microphone and the line too; noise of the line does not.
    through = _chance(n, 0.5, generator)
    result = torch.fft.irfft(
        (spectrum + torch.fft.rfft(noise * level * ratio * through, n=n_fft)) * channels(n, hz, generator)
    )
    result = result[:, :n_samples] + noise * level * ratio * ~through
    coded = _chance(n, 0.1, generator)[:, 0].nonzero()[:, 0]
    if len(coded):
        result[coded] = mu_law(result[coded])
    clipped = _chance(n, 0.08, generator)
    limit = result.abs().amax(dim=1, keepdim=True) * _between(n, 0.25, 0.8, generator)
    result = torch.where(clipped, torch.maximum(torch.minimum(result, limit), -limit), result)
    return torch.where(_chance(n, strength, generator), result, waves)
