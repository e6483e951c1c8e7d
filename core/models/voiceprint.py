"""A speaker encoder for a CPU: a time-delay network over mel frames, with attentive statistics pooling.

The blocks are residual dilated convolutions at a quarter of the frame rate, the pooling is that of ECAPA-TDNN
(Desplanques et al. 2020, arXiv 2005.07143, sec. 3.1). Unlike it, every convolution is dense (fast without a GPU), and
the last layer ends as GE2E's does, in ReLU and an L2 norm, so that it can be taught that encoder's own space.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize, relu


@dataclass(frozen=True)
class VoiceprintConfig:
    """Sizes of the network. n_mels: bands of a frame; early: channels at half the frame rate, channels: at a quarter;
    dilations: one residual block each; pooled: channels that are pooled; embedding_size: of the result."""

    n_mels: int = 40
    early: int = 224
    channels: int = 288
    dilations: tuple[int, ...] = (1, 2, 3, 1, 2, 3)
    pooled: int = 640
    attention: int = 64
    embedding_size: int = 256


def convolution(n_in: int, n_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution over time, batch norm, ReLU: (B, n_in, T) -> (B, n_out, ceil(T / stride))."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm1d(n_out),
        nn.ReLU(inplace=True),
    )


class AttentiveStatistics(nn.Module):
    """Weighted mean and deviation over time, each channel with weights of its own: (B, C, T) -> (B, 2 C)."""

    def __init__(self, channels: int, attention: int):
        super().__init__()
        self.score = nn.Sequential(nn.Conv1d(channels, attention, 1), nn.Tanh(), nn.Conv1d(attention, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.score(x).float().softmax(dim=2)
        x = x.float()
        mean = (weights * x).sum(dim=2)
        variance = (weights * (x - mean.unsqueeze(2)) ** 2).sum(dim=2)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


class Voiceprint(nn.Module):
    """Windows of logarithmic mel frames to voices."""

    def __init__(self, config: VoiceprintConfig = VoiceprintConfig()):
        super().__init__()
        self.config = c = config
        self.scale = nn.BatchNorm1d(2 * c.n_mels, affine=False)
        self.early = nn.Sequential(convolution(2 * c.n_mels, c.early, 5, stride=2), convolution(c.early, c.early, 3))
        self.down = convolution(c.early, c.channels, 3, stride=2)
        self.blocks = nn.ModuleList(convolution(c.channels, c.channels, 3, dilation=d) for d in c.dilations)
        self.widen = convolution(c.channels, c.pooled, 1)
        self.pool = AttentiveStatistics(c.pooled, c.attention)
        self.settle = nn.BatchNorm1d(2 * c.pooled)
        self.linear = nn.Linear(2 * c.pooled, c.embedding_size)

    def pooled(self, log_mels: Tensor) -> Tensor:
        """log_mels: (B, T, n_mels), T from about 50 up -> what the last layer reads, (B, 2 * pooled)."""
        x = log_mels.transpose(1, 2)
        # As heard, and with the window's mean taken off each band: what a microphone or telephone adds is in it.
        x = self.scale(torch.cat([x, x - x.mean(dim=2, keepdim=True)], dim=1))
        x = self.down(self.early(x))
        for block in self.blocks:
            x = x + block(x)
        return self.settle(self.pool(self.widen(x)))

    def raw(self, log_mels: Tensor) -> Tensor:
        """log_mels: (B, T, n_mels) -> (B, embedding_size) before ReLU and norm."""
        return self.linear(self.pooled(log_mels))

    def forward(self, log_mels: Tensor) -> Tensor:
        """log_mels: (B, T, n_mels) -> embeddings (B, embedding_size), not negative, norm 1."""
        return normalize(relu(self.raw(log_mels).float()), dim=1)

    def soft(self, log_mels: Tensor) -> Tensor:
        """As `forward`, but negative values keep a tenth of themselves, so that training can bring them back."""
        return normalize(leaky_relu(self.raw(log_mels).float(), 0.1), dim=1)
