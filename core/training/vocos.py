"""The vocoder's trainer: its networks, losses and optimisers, one step of each stage, the resume file. Used by
`core.training.vocoder`."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from core.audio.mel import mel_filters
from core.errors import ModelError
from core.inference.registry import Card
from core.models.vocos import Config, Vocos
from core.training.checkpoint import publish
from core.training.discriminator import SpectrogramDiscriminator, adversarial_losses, discriminator_loss
from core.training.precision import autocast
from core.training.spectral import MelLayer, SpectralLoss, blurred
from core.types import PROJECT_MEL

CORRECTIONS = 4  # each costs as much as the spectra of a step of Griffin-Lim; more still helps a little
TRAINED_ON = (
    "LibriSpeech test-clean and parts of train-clean-100 (CC BY 4.0), VCTK p239 (CC BY 4.0), Kathleen (CC0), LJ Speech "
    "(public domain), speechocean762 (CC BY 4.0), Common Voice (CC0), without the ten unseen speakers."
)


class Trainer:
    """The networks, their optimisers and average, and one step of each stage."""

    def __init__(self, config: Config, device: torch.device, rate: float, adversary_channels: int = 16):
        self.device, self.rate = device, rate
        self.model = Vocos(config, torch.tensor(mel_filters(PROJECT_MEL))).to(device)
        self.average = self._filters()  # of the filters alone: the pitch reader is taken as it is
        self.adversary = SpectrogramDiscriminator(adversary_channels).to(device)
        self.mel = MelLayer(PROJECT_MEL).to(device)
        self.spectral = SpectralLoss().to(device)

        def adam(parameters, betas):
            return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=1e-2, fused=True)

        self.optimisers = {
            "pitch": adam(self.model.pitch.parameters(), (0.9, 0.98)),
            "model": adam(self.model.net.parameters(), (0.8, 0.98)),
            "adversary": adam(self.adversary.parameters(), (0.8, 0.98)),
        }
        self.steps = {"pitch": 0, "model": 0, "adversary": 0}
        self.seconds = 0.0
        self.earlier = {"steps": 0, "minutes": 0.0}  # of the published weights that training began with

    def _step(self, name: str, loss: Tensor, parameters, share: float) -> None:
        """One optimiser step; share: of this stage's time that has passed. Warm-up, then a cosine down to zero."""
        optimiser = self.optimisers[name]
        warm = min(1.0, (self.steps[name] + 1) / 100)
        for group in optimiser.param_groups:
            group["lr"] = self.rate * warm * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(parameters), 5.0)
        optimiser.step()
        self.steps[name] += 1

    def pitch_step(self, sound: Tensor, f0: Tensor, share: float) -> dict[str, float]:
        """One step of the reader on the mels of sound (B, n), every third blurred.

        f0: (B, T) in Hz, 0 where unvoiced: there the reader learns to say that any pitch would do.
        """
        with autocast(self.device):
            scores = self.model.pitch(blurred(self.mel(sound), 1 / 3))
        known = f0 > 0
        target = self.model.pitch.targets(f0.clamp_min(1.0))
        chances = torch.log_softmax(scores, -1)
        loss = -(target * chances).sum(-1)[known].sum() / known.sum().clamp_min(1)
        loss = loss - 0.1 * chances[~known].mean(-1).sum() / (~known).sum().clamp_min(1)
        self._step("pitch", loss, self.model.pitch.parameters(), share)
        with torch.no_grad():
            cents = 1200 * torch.log2(self.model.pitch.f0(scores)[known] / f0[known]).abs()
            wrong = (cents > 100).float().mean()
            fine = cents[cents <= 100].square().mean().sqrt() if (cents <= 100).any() else cents.sum() * 0
        return {"pitch": loss.item(), "cents": fine.item(), "gross": wrong.item()}

    def make(self, mel: Tensor, meant: Tensor | None = None, model: Vocos | None = None) -> tuple[Tensor, Tensor]:
        """Sound (B, (T - 1) * hop) from mel (B, n_mels, T), the source beginning anywhere in its cycle; and the logits
        (B, T, n_mels) of trust in the mel. meant: F0 (B, T), see `Vocos.read_pitch`."""
        model = model or self.model
        B, _, T = mel.shape
        with torch.no_grad():
            f0 = model.read_pitch(mel, meant)
            start = torch.rand(B, dtype=torch.float64, device=mel.device)
            noise = torch.randn(B, (T + 3) * model.config.hop_length, device=mel.device)
        with autocast(self.device):
            out = model.net(mel)
            return model.synthesize(mel, out, f0, start, noise), model.trust(out)

    def model_step(
        self, sound: Tensor, seen: Tensor, meant: Tensor, share: float, adversarial: bool, adversary_share: float
    ) -> dict[str, float]:
        """One step on sound (B, n): spectral losses, and the discriminators' when `adversarial`. seen, meant: made mels
        (b, n_mels, T) of the last b sounds, and their F0 (b, T), 0 where unvoiced; of the others the real mel is shown,
        every third blurred."""
        mel = self.mel(sound)
        n_made = len(seen)
        seen, smooth = blurred(mel[: len(mel) - n_made], 1 / 3), seen
        genuine = torch.cat(
            [(seen == mel[: len(seen)]).flatten(1).all(1), torch.zeros(n_made, dtype=bool, device=mel.device)]
        )
        meant = torch.cat([meant.new_zeros(len(seen), mel.shape[2]), meant])
        made, trust = self.make(torch.cat([seen, smooth]), meant)
        losses = {}
        losses["trust"] = torch.nn.functional.binary_cross_entropy_with_logits(
            trust, genuine.float()[:, None, None].expand_as(trust)
        )
        losses["log"], losses["conv"] = self.spectral(made, sound)
        losses["mel"] = torch.nn.functional.l1_loss(self.mel(made), mel)
        loss = losses["log"] + 0.5 * losses["conv"] + losses["mel"] + 0.1 * losses["trust"]
        if adversarial:
            with autocast(self.device):
                judged = self.adversary(torch.cat([sound, made.detach()]))
            losses["adversary"] = discriminator_loss(judged)
            self._step("adversary", losses["adversary"], self.adversary.parameters(), adversary_share)
            self.adversary.requires_grad_(False)
            with autocast(self.device):
                judged = self.adversary(torch.cat([sound, made]))
            self.adversary.requires_grad_(True)
            losses["fool"], losses["features"] = adversarial_losses(judged)
            ramp = min(1.0, self.steps["adversary"] / 300)
            loss = loss + ramp * (0.1 * losses["fool"] + 0.5 * losses["features"])
        self._step("model", loss, self.model.net.parameters(), share)
        decay = min(0.998, (1 + self.steps["model"]) / (20 + self.steps["model"]))
        with torch.no_grad():
            for name, value in self.model.net.state_dict(prefix="net.").items():
                self.average[name].lerp_(value, 1 - decay)
        return {name: value.item() for name, value in losses.items()}

    def _filters(self) -> dict[str, Tensor]:
        """A copy of the weights of the filters as they stand."""
        return {name: value.detach().clone() for name, value in self.model.net.state_dict(prefix="net.").items()}

    def weights(self) -> dict[str, Tensor]:
        """What is judged and published: the filters' average, and the rest of the model."""
        return self.model.state_dict() | self.average

    def averaged(self) -> Vocos:
        model = Vocos(replace(self.model.config, corrections=CORRECTIONS)).to(self.device)
        model.load_state_dict(self.weights())
        return model.eval()

    def state(self) -> dict:
        return {
            "model": self.model.state_dict(), "average": self.average, "adversary": self.adversary.state_dict(),
            "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
            "steps": dict(self.steps), "seconds": self.seconds, "earlier": self.earlier,
            "channels": self.model.config.channels,
        }  # fmt: skip

    def load(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.average = {name: state["average"][name].to(self.device) for name in self.average}
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.adversary.load_state_dict(state["adversary"])
        self.steps, self.seconds, self.earlier = dict(state["steps"]), state["seconds"], dict(state["earlier"])

    def begin_with(self, card: Card, tensors: dict[str, Tensor]) -> None:
        """Takes published weights, and counts on from their steps. Raises ModelError where the sizes differ."""
        try:
            self.model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        except RuntimeError as error:
            raise ModelError(
                f"The published vocoder {card.name} has other sizes than this one.", "Leave out --from-published."
            ) from error
        self.average = self._filters()
        self.earlier = {"steps": card.steps, "minutes": card.extra.get("minutes", 0.0)}

    @torch.no_grad()
    def validate(self, sounds: Tensor) -> tuple[dict[str, float], Tensor]:
        """Losses of the averaged weights on sounds (B, n) never trained on, and what they made of them."""
        torch.manual_seed(0)
        mel = self.mel(sounds)
        made, _ = self.make(mel, model=self.averaged())
        log, convergence = self.spectral(made, sounds)
        return {"log": log.item(), "conv": convergence.item(), "mel": (self.mel(made) - mel).abs().mean().item()}, made

    def publish(self, folder: Path, metrics: dict) -> Path:
        card = Card(
            "vocoder",
            "vocos",
            "vocos",
            config=asdict(replace(self.model.config, corrections=CORRECTIONS)),
            mel_format=PROJECT_MEL,
            steps=self.earlier["steps"] + self.steps["model"],
            trained_on=TRAINED_ON,
            metrics=metrics,
            licence="GPL-3.0-or-later",
            extra={"rank": 1, "minutes": round(self.earlier["minutes"] + self.seconds / 60, 1)},
        )
        return publish(card, self.weights(), folder)
