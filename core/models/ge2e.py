"""The published GE2E speaker encoder: three LSTM layers over mel frames, the last state projected onto a sphere.

Source: Wan et al. 2018, "Generalized End-to-End Loss for Speaker Verification". Names and sizes are those of the public
SV2TTS and Resemblyzer checkpoints, so their weights load strictly once the two scalars of the training loss
(`similarity_weight`, `similarity_bias`) are set aside.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

LOSS_SCALARS = ("similarity_weight", "similarity_bias")
"""Keys of a published checkpoint that belong to its loss, not to the network."""


@dataclass(frozen=True)
class GE2EConfig:
    """Sizes of the network. n_mels: bands of a frame; hidden_size: of each LSTM layer; embedding_size: the result."""

    n_mels: int = 40
    hidden_size: int = 256
    embedding_size: int = 256
    n_layers: int = 3

    @classmethod
    def of(cls, state: dict[str, Tensor]) -> "GE2EConfig":
        """The sizes a checkpoint was made with, read from its tensors' shapes. Raises KeyError for another network."""
        return cls(
            n_mels=state["lstm.weight_ih_l0"].shape[1],
            hidden_size=state["lstm.weight_hh_l0"].shape[1],
            embedding_size=state["linear.weight"].shape[0],
            n_layers=sum(name.startswith("lstm.weight_hh_l") for name in state),
        )


class GE2E(nn.Module):
    """Windows of mel frames to voices."""

    def __init__(self, config: GE2EConfig = GE2EConfig()):
        super().__init__()
        self.config = config
        self.lstm = nn.LSTM(config.n_mels, config.hidden_size, config.n_layers, batch_first=True)
        self.linear = nn.Linear(config.hidden_size, config.embedding_size)

    def raw(self, mels: Tensor) -> Tensor:
        """mels: (B, T, n_mels) power mels, not logarithmic -> (B, embedding_size) before ReLU and norm."""
        _, (hidden, _) = self.lstm(mels)
        return self.linear(hidden[-1])

    def forward(self, mels: Tensor) -> Tensor:
        """mels: (B, T, n_mels) power mels, not logarithmic -> embeddings (B, embedding_size), not negative, norm 1."""
        raw = torch.relu(self.raw(mels))
        return raw / (raw.norm(dim=1, keepdim=True) + 1e-5)

    def each(self, mels: Tensor) -> Tensor:
        """As `forward` after each frame, (B, T, embedding_size): the embeddings of ever longer windows."""
        return self.answers(self.lstm(mels)[0])

    def answers(self, states: Tensor) -> Tensor:
        """states: of the last layer after each frame (B, T, hidden_size) -> (B, T, embedding_size), as `each`."""
        raw = torch.relu(self.linear(states)).float()
        return raw / (raw.norm(dim=2, keepdim=True) + 1e-5)

    def soft_each(self, mels: Tensor) -> Tensor:
        """As `each`, but negative values keep a tenth of themselves, so that training can bring them back."""
        return normalize(leaky_relu(self.linear(self.lstm(mels)[0]).float(), 0.1), dim=2)


def network_state(checkpoint: dict) -> dict[str, Tensor]:
    """The network's own tensors out of a published checkpoint (`{"model_state": ...}` or a bare state dict)."""
    state = checkpoint.get("model_state", checkpoint)
    return {name: tensor for name, tensor in state.items() if name not in LOSS_SCALARS}
