"""The loss that pulls a speaker's windows together and others' apart."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


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
