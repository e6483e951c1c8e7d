"""A vocoder that filters a source: frames of a Fourier spectrum, predicted at frame rate, one inverse STFT at the end.

The frame-rate ConvNeXt backbone and the inverse-STFT head are those of Vocos (Siuzdak 2023, arXiv 2306.00814). Unlike
it, the head does not invent phases. The pitch is read off the mel, a band-limited pulse train of that pitch and white
noise are made, and the head predicts, per frequency and frame, a complex filter for the pulses and a gain for the noise
(as in the neural homomorphic vocoder, Liu et al. 2020). The pulses carry an exact running phase, so the pitch cannot
drift or jitter, and the filter's phase is a smooth, local thing that plain spectral losses can teach on a CPU.

Everything is local in time (see `Config.reach`), so sound made chunk by chunk is the same sound.
Shapes: B batch, T frames, F = n_fft // 2 + 1 frequencies.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

MEANT = 15.0
"""How far a synthesizer's mel strays from the pitch it meant, in bins of pitch: 2.5 semitones."""


@dataclass(frozen=True)
class Config:
    """Sizes. pitch_*: the net that reads the pitch, in bins of 1 / bins_per_octave octave from `f0_low` Hz.
    noise_points: gains of the noise per frame, for attacks shorter than a frame. corrections: times
    the finished spectrum is set right where its mel is not the one asked for."""

    n_mels: int = 80
    n_fft: int = 800
    hop_length: int = 200
    sample_rate: int = 16000
    channels: int = 192
    expansion: int = 3
    blocks: int = 8
    kernel: int = 7
    noise_points: int = 8
    corrections: int = 0
    pitch_channels: int = 128
    pitch_blocks: int = 4
    pitch_bins: int = 256
    bins_per_octave: int = 72
    f0_low: float = 50.0

    @property
    def reach(self) -> int:
        """Frames on each side that can influence a sample: the backbone's, or the pitch's plus the source's, and the
        overlap of the inverse STFT."""
        overlap = self.n_fft // self.hop_length // 2
        return max(self.kernel // 2 * (1 + self.blocks), self.pitch_reach) + 2 * overlap * (1 + self.corrections) + 2

    @property
    def pitch_reach(self) -> int:
        """Frames on each side that can influence the pitch read at one."""
        return self.kernel // 2 * (1 + self.pitch_blocks)


class Block(nn.Module):
    """ConvNeXt block in time: depthwise convolution, then a two-layer perceptron per frame. (B, T, C) -> (B, T, C)."""

    def __init__(self, channels: int, expansion: int, kernel: int, scale: float):
        super().__init__()
        self.mix = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, expansion * channels)
        self.reduce = nn.Linear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.mix(x.transpose(1, 2)).transpose(1, 2)
        y = self.reduce(nn.functional.gelu(self.expand(self.norm(y))))
        return x + self.scale * y


class Backbone(nn.Module):
    """mel (B, n_mels, T) -> features (B, T, out). Fixed input scaling: nothing depends on the rest of the utterance."""

    def __init__(self, n_mels: int, channels: int, expansion: int, blocks: int, kernel: int, out: int):
        super().__init__()
        self.embed = nn.Conv1d(n_mels, channels, kernel, padding=kernel // 2)
        self.first_norm = nn.LayerNorm(channels, eps=1e-6)
        self.blocks = nn.ModuleList(Block(channels, expansion, kernel, 1 / blocks) for _ in range(blocks))
        self.last_norm = nn.LayerNorm(channels, eps=1e-6)
        self.out = nn.Linear(channels, out)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.embed(mel * 0.3 + 1.5).transpose(1, 2)
        x = self.first_norm(x)
        for block in self.blocks:
            x = block(x)
        return self.out(self.last_norm(x)).float()


class PitchReader(nn.Module):
    """mel (B, n_mels, T) -> scores (B, T, pitch_bins) of the pitch lying in each bin."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.net = Backbone(
            config.n_mels,
            config.pitch_channels,
            config.expansion,
            config.pitch_blocks,
            config.kernel,
            config.pitch_bins,
        )

    def forward(self, mel: Tensor) -> Tensor:
        return self.net(mel)

    def targets(self, f0: Tensor) -> Tensor:
        """f0 in Hz (B, T), positive -> a bump of 1.2 bins' width on the right bin, (B, T, pitch_bins), summing to 1."""
        place = torch.log2(f0 / self.config.f0_low) * self.config.bins_per_octave
        bins = torch.arange(self.config.pitch_bins, device=f0.device)
        return torch.softmax(-0.5 * ((bins - place[..., None]) / 1.2) ** 2, dim=-1)

    def near(self, scores: Tensor, meant: Tensor) -> Tensor:
        """Scores (B, T, bins), lowered away from the pitch meant, (B, T) in Hz, by a normal distribution of MEANT bins'
        width: an octave is 11 nats less likely, a semitone is nearly free. Where 0 is meant they stay."""
        bins = torch.arange(self.config.pitch_bins, device=scores.device)
        away = bins - torch.log2(meant.clamp_min(1) / self.config.f0_low)[..., None] * self.config.bins_per_octave
        return scores - 0.5 * (away / MEANT).square() * (meant > 0)[..., None]

    def f0(self, scores: Tensor) -> Tensor:
        """Scores (B, T, bins) -> F0 in Hz (B, T): the mean around the best bin, so never between two octaves.
        Where nothing is voiced it is some pitch; the filter silences the pulses there."""
        best = scores.argmax(dim=-1, keepdim=True)
        around = (best + torch.arange(-4, 5, device=scores.device)).clamp(0, self.config.pitch_bins - 1)
        weight = torch.softmax(scores.gather(-1, around), dim=-1)
        place = (weight * around).sum(-1)
        return self.config.f0_low * torch.exp2(place / self.config.bins_per_octave)


class Vocos(nn.Module):
    """mel (B, n_mels, T) -> sound (B, (T - 1) * hop_length). See the module's docstring."""

    def __init__(self, config: Config, filters: Tensor | None = None):
        """filters: mel filters (n_mels, F), needed only to begin training: they place the mel bands on the
        frequencies."""
        super().__init__()
        self.config = config
        frequencies = config.n_fft // 2 + 1
        self.pitch = PitchReader(config)
        self.net = Backbone(
            config.n_mels,
            config.channels,
            config.expansion,
            config.blocks,
            config.kernel,
            3 * frequencies + config.noise_points + config.n_mels,
        )
        spread = torch.zeros(frequencies, config.n_mels)
        self.register_buffer("filters", torch.zeros(config.n_mels, frequencies) if filters is None else filters.clone())
        if filters is not None:
            spread = filters.t() / filters.t().sum(1, keepdim=True).clamp_min(1e-9)
            spread[0], spread[-1] = spread[1], spread[-2]  # no band reaches 0 Hz and the highest frequency
        self.register_buffer("spread", spread)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        nn.init.normal_(self.net.out.weight, std=0.01)
        nn.init.zeros_(self.net.out.bias)

    def read_pitch(self, mel: Tensor, meant: Tensor | None = None) -> Tensor:
        """F0 in Hz, (B, T), wherever anything is voiced. meant: the F0 (B, T) that a synthesizer had in mind, 0
        where it says nothing: the mel decides nearby, not in which octave."""
        scores = self.pitch(mel)
        return self.pitch.f0(scores if meant is None else self.pitch.near(scores, meant))

    def cycles(self, f0: Tensor) -> Tensor:
        """Cycles of the source since the first frame, at each frame, float64 (B, T), for F0 (B, T) in Hz."""
        f0 = f0.double()
        steps = 0.5 * (f0[:, 1:] + f0[:, :-1]) * (self.config.hop_length / self.config.sample_rate)
        return pad(steps.cumsum(1), (1, 0))

    def pulses(self, f0: Tensor, start: Tensor) -> Tensor:
        """A unit-power sum of all harmonics below 7.9 kHz, F0 linear between frames: (B, (T + 3) * hop_length).

        It begins two hops before the first frame and ends two hops after the last, so it covers every frame's window.
        start: cycles at the first frame, (B,), float64.
        """
        hop = self.config.hop_length
        cycles = self.cycles(f0)
        edge = f0.double() * (hop / self.config.sample_rate)
        cycles = torch.cat(
            [cycles[:, :1] - 2 * edge[:, :1], cycles[:, :1] - edge[:, :1], cycles, cycles[:, -1:] + edge[:, -1:]], dim=1
        )
        f0 = torch.cat([f0[:, :1], f0[:, :1], f0, f0[:, -1:], f0[:, -1:]], dim=1).double()
        t = torch.arange(hop, device=f0.device, dtype=torch.float64) / hop
        slope = f0[:, 1:, None] - f0[:, :-1, None]
        inner = (f0[:, :-1, None] * t + 0.5 * slope * t * t) * (hop / self.config.sample_rate)
        cycle = cycles[..., None] + inner + start[:, None, None]
        angle = ((cycle - cycle.round()) * (2 * math.pi)).float()
        harmonics = torch.floor(7900 / (f0[:, :-1, None] + slope * t)).float()
        # sum of cos(k * angle), k = 1..harmonics, in closed form; at angle 0 it is `harmonics`
        below = torch.sin(angle / 2)
        small = below.abs() < 1e-4
        total = 0.5 * torch.sin((harmonics + 0.5) * angle) / torch.where(small, 1.0, below) - 0.5
        total = torch.where(small, harmonics, total) * torch.sqrt(2 / harmonics)
        return total.flatten(1)

    def spectrum(self, samples: Tensor) -> Tensor:
        """(B, (T + 3) * hop_length) samples -> complex (B, T, F), frames cut without padding."""
        c = self.config
        return torch.fft.rfft(samples.unfold(1, c.n_fft, c.hop_length) * self.window, dim=-1)

    def sound(self, spectrum: Tensor, edges: bool = False) -> Tensor:
        """Inverse STFT of complex (B, T, F), frames centred on multiples of hop_length: (B, (T - 1) * hop_length), or
        with edges (B, (T + 3) * hop_length), two hops more at both ends."""
        c = self.config
        frames = torch.fft.irfft(spectrum, n=c.n_fft, dim=-1) * self.window
        B, T, _ = frames.shape
        parts = c.n_fft // c.hop_length
        frames = frames.reshape(B, T, parts, c.hop_length)
        square = (self.window**2).reshape(parts, c.hop_length)
        total = frames.new_zeros(B, T + parts - 1, c.hop_length)
        weight = frames.new_zeros(T + parts - 1, c.hop_length)
        for p in range(parts):  # frame i covers the hops i .. i + parts - 1 of the padded sound
            total = total + pad(frames[:, :, p], (0, 0, p, parts - 1 - p))
            weight[p : p + T] += square[p]
        if edges:
            return (total / weight.clamp_min(0.1)).flatten(1)
        half = parts // 2
        return (total[:, half : half + T - 1] / weight[half : half + T - 1]).flatten(1)

    def forward(self, mel: Tensor, f0: Tensor, start: Tensor, noise: Tensor) -> Tensor:
        """Mel (B, n_mels, T) natural log; f0 (B, T) from `read_pitch`; start (B,) cycles of the source at the first
        frame; noise (B, (T + 3) * hop_length), normal, beginning two frames before the first. Returns (B, (T - 1) *
        hop_length)."""
        return self.synthesize(mel, self.net(mel), f0, start, noise)

    def trust(self, out: Tensor) -> Tensor:
        """From features `net(mel)`: logits (B, T, n_mels) that a value of the mel is of a recording, not made."""
        return out[..., -self.config.n_mels :]

    def synthesize(self, mel: Tensor, out: Tensor, f0: Tensor, start: Tensor, noise: Tensor) -> Tensor:
        """As `forward`, from out = `net(mel)`, whose `trust` is taken as it is: the sound's losses do not teach it."""
        with torch.autocast(mel.device.type, enabled=False):  # exponentials and spectra want full precision
            return self._synthesize(mel.float(), out, f0, start, noise)

    def _synthesize(self, mel: Tensor, out: Tensor, f0: Tensor, start: Tensor, noise: Tensor) -> Tensor:
        c, F = self.config, self.config.n_fft // 2 + 1
        gain, phase, noise_gain, attack, _ = out.split([F, F, F, c.noise_points, c.n_mels], dim=-1)
        trust = torch.sigmoid(self.trust(out)).detach()
        base = mel.transpose(1, 2) @ self.spread.t()
        B, T, _ = attack.shape
        # noise gains at noise_points per frame, held over the two frames before and after, linear in between
        envelope = pad(
            attack.reshape(B, 1, T * c.noise_points), (2 * c.noise_points, c.noise_points + 1), mode="replicate"
        )
        step = c.hop_length // c.noise_points
        t = torch.arange(step, device=mel.device) / step
        envelope = envelope[:, 0, :-1, None] * (1 - t) + envelope[:, 0, 1:, None] * t
        N = self.spectrum(noise * torch.exp(envelope.flatten(1).clamp(-6, 6)))
        with torch.no_grad():
            E = self.spectrum(self.pulses(f0, start))
        harmonic = torch.polar(torch.exp((base + gain).clamp(-14, 8)), phase)
        made = E * harmonic + N * torch.exp((base + noise_gain).clamp(-14, 8))
        made = torch.cat([torch.zeros_like(made[..., :1]), made[..., 1:]], -1)  # no constant offset
        for _ in range(c.corrections):
            made = self.corrected(made, mel, trust)
        return self.sound(made)

    def corrected(self, spectrum: Tensor, mel: Tensor, trust: Tensor) -> Tensor:
        """The spectrum (B, T, F) of the sound that `spectrum` makes, each mel band scaled to what `mel` asks for: noise
        that came out too strong or too weak at some place and time is set right.

        trust (B, T, n_mels): how far each value of the mel is followed, 0 to 1. The mel of a recording knows the
        noise's every flicker; a synthesizer's is an average, and noise made to follow an average sounds unnatural.
        """
        spectrum = self.spectrum(self.sound(spectrum, edges=True))
        # the square root's gradient must stay finite at silence
        size = (torch.view_as_real(spectrum).square().sum(-1) + 1e-14).sqrt()
        found = torch.log((size @ self.filters.t()).clamp_min(1e-5))
        change = (trust * (mel.transpose(1, 2) - found).clamp(-2, 2)) @ self.spread.t()
        return spectrum * torch.exp(change)
