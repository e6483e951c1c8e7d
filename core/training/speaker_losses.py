"""Losses that pull a speaker's windows together and others' apart: among a batch, and among all known voices."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from core.training.windows import Windows


class GE2ELoss(nn.Module):
    """Each window nearer to the rest of its own speaker's than to any other speaker's centre.

    Source: Wan et al. 2018, "Generalized End-to-End Loss for Speaker Verification", eqs. 5, 6 and 8.
    """

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(10.0))
        self.bias = nn.Parameter(torch.tensor(-5.0))

    def forward(self, embeddings: Tensor) -> Tensor:
        """embeddings: (speakers, per_speaker, d) of norm 1 -> scalar."""
        S, M, _ = embeddings.shape
        sums = embeddings.sum(dim=1)
        centres = nn.functional.normalize(sums, dim=1)
        own = nn.functional.normalize(sums.unsqueeze(1) - embeddings, dim=2)
        cosines = embeddings @ centres.t()  # (S, M, S)
        here = torch.eye(S, dtype=torch.bool, device=embeddings.device).unsqueeze(1).expand(S, M, S)
        cosines = torch.where(here, (embeddings * own).sum(dim=2, keepdim=True), cosines)
        logits = self.weight.clamp_min(1e-3) * cosines + self.bias
        return cross_entropy(logits.reshape(S * M, S), torch.arange(S, device=logits.device).repeat_interleave(M))


class Contrast:
    """Each window nearest to its own speaker's voice among many that the teacher knows (cross entropy of cosines).

    The teacher's space is kept, and what tells its speakers apart counts more in it than what does not.
    """

    def __init__(self, windows: Windows, others: int = 2048, scale: float = 30.0):
        self.names, place = np.unique(windows.speaker, return_inverse=True)
        sums = np.zeros((len(self.names), windows.voices.shape[1]), np.float32)
        np.add.at(sums, place, windows.voices.astype(np.float32))
        self.voices = nn.functional.normalize(torch.from_numpy(sums), dim=1)
        self.place = torch.from_numpy(place)
        self.others, self.scale = others, scale

    def __call__(self, embeddings: Tensor, picked: np.ndarray, generator: torch.Generator) -> Tensor:
        """embeddings: (B, d) of norm 1 of the windows `picked` (B,) -> scalar."""
        own = self.place[torch.from_numpy(picked)]
        drawn = torch.randint(len(self.voices), (self.others,), generator=generator)
        voices = self.voices[torch.cat([own, drawn])].to(embeddings.device)
        logits = self.scale * embeddings @ voices.t()
        # The same speaker drawn again is no other.
        again = own[:, None] == torch.cat([own, drawn])[None]
        again.fill_diagonal_(False)
        logits = logits.masked_fill(again.to(logits.device), -1e4)
        return cross_entropy(logits, torch.arange(len(own), device=logits.device))
