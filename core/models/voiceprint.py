"""A speaker encoder for a CPU: the published encoder's shape at half its frame rate.

Recurrent as GE2E's (Wan et al. 2018), so that what it is taught, how that network's answer grows frame by frame, is
something it can learn: what a time-delay network with pooling learnt in 1.3 million windows it learnt in half as many.
Unlike it, each step reads two frames, and energies come compressed, as roots and as logarithms.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize, relu

FLOOR = 1e-5
"""Added to energies before the logarithm: 35 dB under a window's mean."""
LEVEL = 0.0285
"""Mean energy that every window is brought to: how loud a recording is tells nothing of its voice."""


@dataclass(frozen=True)
class VoiceprintConfig:
    """Sizes of the network. n_mels: bands of a frame; stacked: frames read in one step; hidden_size: of each of
    n_layers LSTM layers; embedding_size: of the result."""

    n_mels: int = 40
    stacked: int = 2
    hidden_size: int = 320
    n_layers: int = 3
    embedding_size: int = 256


def levelled(mels: Tensor) -> Tensor:
    """mels: energies (B, T, n_mels) -> the same, each window brought to LEVEL."""
    return mels * (LEVEL / mels.mean(dim=(1, 2), keepdim=True).clamp_min(1e-9))


def in_steps(frames: Tensor, stacked: int) -> Tensor:
    """frames: (B, T, n) -> (B, T // stacked, stacked * n), side by side. Frames too many are left out at the
    beginning."""
    steps = frames.shape[1] // stacked
    return frames[:, frames.shape[1] - steps * stacked :].reshape(len(frames), steps, -1)


class Voiceprint(nn.Module):
    """Windows of mel energies to voices."""

    def __init__(self, config: VoiceprintConfig = VoiceprintConfig()):
        super().__init__()
        self.config = c = config
        self.lstm = nn.LSTM(2 * c.n_mels * c.stacked, c.hidden_size, c.n_layers, batch_first=True)
        self.linear = nn.Linear(c.hidden_size, c.embedding_size)

    def features(self, mels: Tensor) -> Tensor:
        """mels: energies (B, T, n_mels), T >= stacked -> what the layers read, (B, T // stacked, 2 n_mels stacked), as
        `in_steps` has it."""
        mels = levelled(mels)
        return in_steps(torch.cat([(torch.log(mels + FLOOR) + 6) / 3, 5 * mels.sqrt()], dim=2), self.config.stacked)

    def states(self, mels: Tensor) -> Tensor:
        """mels: energies (B, T, n_mels) -> (B, T // stacked, hidden_size): what is known after each step."""
        return self.lstm(self.features(mels))[0]

    def raw(self, mels: Tensor) -> Tensor:
        """mels: energies (B, T, n_mels) -> (B, embedding_size) before ReLU and norm."""
        return self.linear(self.states(mels)[:, -1])

    def forward(self, mels: Tensor) -> Tensor:
        """mels: energies (B, T, n_mels) -> embeddings (B, embedding_size), not negative, norm 1."""
        return normalize(relu(self.raw(mels).float()), dim=1)

    def together(self, short: Tensor, long: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward` of both. Their first steps are taken side by side: on a CPU one more in a batch is nearly free.

        short: (B, T, n_mels), long: (C, S, n_mels) -> embeddings (B, embedding_size), (C, embedding_size).
        """
        x, y = self.features(short), self.features(long)
        n, steps = x.shape[:2]
        if y.shape[1] <= steps:
            return self(short), self(long)
        states, memory = self.lstm(torch.cat([x, y[:, :steps]]))
        rest = self.lstm(y[:, steps:], tuple(part[:, n:].contiguous() for part in memory))[0]
        answers = normalize(relu(self.linear(torch.cat([states[:n, -1], rest[:, -1]])).float()), dim=1)
        return answers[:n], answers[n:]

    def soft(self, mels: Tensor) -> Tensor:
        """As `forward`, but negative values keep a tenth of themselves, so that training can bring them back."""
        return normalize(leaky_relu(self.raw(mels).float(), 0.1), dim=1)

    def soft_each(self, mels: Tensor) -> Tensor:
        """As `soft` after each step, (B, T // stacked, embedding_size)."""
        return self.soft_answers(self.states(mels))

    def soft_answers(self, states: Tensor) -> Tensor:
        """What `soft_each` makes of what `states` gives."""
        return normalize(leaky_relu(self.linear(states).float(), 0.1), dim=2)
