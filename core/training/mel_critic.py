"""A small judge of mel crops that sharpens a synthesizer which regression alone leaves blurred.

It tells real crops from made ones, patch by patch, knowing whose voice they should be in, where it is told. Hinge loss
and feature matching as in MelGAN (Kumar et al. 2019).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.training.precision import autocast


class MelCritic(nn.Module):
    """Scores patches of crops (B, T, n_mels), T about 96 frames."""

    def __init__(self, n_mels: int = 80, d_voice: int = 256, channels: tuple[int, int, int] = (32, 64, 96)):
        super().__init__()
        a, b, c = channels
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(2, a, 3, (1, 2), 1),
                nn.Conv2d(a, b, 3, 2, 1),
                nn.Conv2d(b, c, 3, 2, 1),
                nn.Conv2d(c, c, 3, 1, 1),
            ]
        )
        self.score = nn.Conv2d(c, 1, 3, 1, 1)
        self.voice_in = nn.Linear(d_voice, b)
        self.register_buffer("height", torch.linspace(-1, 1, n_mels).view(1, 1, 1, n_mels), persistent=False)

    def forward(self, mel: Tensor, voice: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Mel (B, T, n_mels) normalised, voice (B, d_voice), zeros where it is not told -> patch scores, features."""
        x = torch.cat([mel[:, None], self.height.expand(len(mel), 1, mel.shape[1], -1)], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        features = []
        for k, layer in enumerate(self.layers):
            x = layer(x)
            if k == 1:
                x = x + self.voice_in(voice * 4)[:, :, None, None]
            x = F.leaky_relu(x, 0.2)
            features.append(x)
        return self.score(x), features


@dataclass(frozen=True)
class Judgement:
    """gradient: to add to the loss's gradient at the made crops, same shape. critic_loss: to train the critic."""

    gradient: Tensor
    critic_loss: Tensor
    losses: dict[str, Tensor]


def judge(critic: MelCritic, real: Tensor, made: Tensor, told: Tensor, strength: float) -> Judgement:
    """One look of the critic at real crops (n, T, n_mels) and made ones (n + k, T, n_mels), the first n of the same.

    told: (n + k, d_voice), a voice or zeros each. Each part of the gradient is scaled, at the mel, to `strength` times
    the norm that an L1 loss averaged over these crops has there: no weights to tune, and no part can drown the
    regression.
    """
    made, n = made.detach(), len(real)
    with autocast(real.device):
        scores, features = critic(torch.cat([real, made]), torch.cat([told[:n], told]))
    real_score, made_score = scores[:n].float(), scores[n:].float()
    critic_loss = F.relu(1 - real_score).mean() + F.relu(1 + made_score).mean()
    for parameter in critic.parameters():
        parameter.requires_grad_(False)
    made.requires_grad_(True)
    with autocast(real.device):
        scores, made_features = critic(made, told)
    adversarial = -scores.float().mean()
    matching = sum(
        (a[:n].float() - b[:n].detach().float()).abs().mean() for a, b in zip(made_features, features, strict=True)
    ) / len(features)
    gradient = torch.zeros_like(made)
    for loss in (adversarial, matching):
        (g,) = torch.autograd.grad(loss, made, retain_graph=True)
        gradient = gradient + strength * to_unit(g)
    for parameter in critic.parameters():
        parameter.requires_grad_(True)
    losses = {
        "critic": critic_loss.detach(), "real": real_score.mean().detach(), "made": made_score.mean().detach(),
        "match": matching.detach(),
    }  # fmt: skip
    return Judgement(gradient.detach(), critic_loss, losses)


def to_unit(gradient: Tensor) -> Tensor:
    """The gradient scaled to the norm that the gradient of a mean absolute error of the same shape has."""
    return gradient * (gradient.numel() ** -0.5 / (gradient.norm() + 1e-12))
