"""A small judge of mel crops that sharpens a synthesizer which regression alone leaves blurred.

It tells real crops from made ones, patch by patch, knowing whose voice they should be in; and it learns, on real crops,
to name the voice, so that made ones can be pushed towards theirs. Hinge loss and feature matching as in MelGAN (Kumar
et al. 2019), the voice head as in auxiliary-classifier GANs (Odena et al. 2017).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        self.voice_out = nn.Sequential(nn.Linear(2 * c * (n_mels // 8), 192), nn.GELU(), nn.Linear(192, d_voice))
        self.register_buffer("height", torch.linspace(-1, 1, n_mels).view(1, 1, 1, n_mels), persistent=False)

    def forward(self, mel: Tensor, voice: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Mel (B, T, n_mels) normalised, voice (B, d_voice) -> patch scores, features, the voice heard."""
        x = torch.cat([mel[:, None], self.height.expand(len(mel), 1, mel.shape[1], -1)], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        features = []
        for k, layer in enumerate(self.layers):
            x = layer(x)
            if k == 1:  # the voice head must not be told the voice: it reads the features without it
                blind = x
                x = x + self.voice_in(voice * 4)[:, :, None, None]
            x = F.leaky_relu(x, 0.2)
            features.append(x)
        h = F.leaky_relu(self.layers[3](F.leaky_relu(self.layers[2](F.leaky_relu(blind, 0.2)), 0.2)), 0.2)
        h = torch.cat([h.mean(2), h.amax(2)], 1).flatten(1)
        return self.score(x), features, F.normalize(self.voice_out(h), dim=-1)


@dataclass(frozen=True)
class Judgement:
    """gradient: to add to the loss's gradient at the made crops, same shape. critic_loss: to train the critic."""

    gradient: Tensor
    critic_loss: Tensor
    losses: dict[str, Tensor]


def judge(
    critic: MelCritic, real: Tensor, made: Tensor, voices: Tensor, autocast, strength: float, voice_strength: float
) -> Judgement:
    """One look of the critic at real and made crops, both (B, T, n_mels).

    Each part of the gradient is scaled, at the mel, to `strength` (or `voice_strength`) times the norm that an L1 loss
    averaged over these crops has there: no weights to tune, and no part can drown the regression.
    """
    made = made.detach()
    with autocast():
        scores, features, heard = critic(torch.cat([real, made]), torch.cat([voices, voices]))
    real_score, made_score = scores.float().chunk(2)
    name = 1 - (heard.float()[: len(real)] * voices).sum(-1).mean()
    critic_loss = F.relu(1 - real_score).mean() + F.relu(1 + made_score).mean() + 2 * name
    for parameter in critic.parameters():
        parameter.requires_grad_(False)
    made.requires_grad_(True)
    with autocast():
        scores, made_features, heard = critic(made, voices)
    real_features = [f.detach()[: len(real)] for f in features]
    adversarial = -scores.float().mean()
    matching = sum(
        (a.float() - b.float()).abs().mean() for a, b in zip(made_features, real_features, strict=True)
    ) / len(real_features)
    voice = 1 - (heard.float() * voices).sum(-1).mean()
    unit = made.numel() ** -0.5
    gradient = torch.zeros_like(made)
    for loss, weight in ((adversarial, strength), (matching, strength), (voice, voice_strength)):
        (g,) = torch.autograd.grad(loss, made, retain_graph=True)
        gradient = gradient + weight * unit * g / (g.norm() + 1e-12)
    for parameter in critic.parameters():
        parameter.requires_grad_(True)
    losses = {
        "critic": critic_loss.detach(), "real": real_score.mean().detach(), "made": made_score.mean().detach(),
        "match": matching.detach(), "voice": voice.detach(), "named": name.detach(),
    }  # fmt: skip
    return Judgement(gradient.detach(), critic_loss, losses)
