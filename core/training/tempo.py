"""The synthesizer's trainer: losses, one step, the resume file, the card. Used by `core.training.synthesizer`."""

import random
from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor

from core.inference.ear import FRAMES, Ear
from core.inference.registry import Card
from core.inference.synthesizer import livelier
from core.models.tempo import Tempo, TempoConfig, as_spoken, length_mask
from core.training.features import SPEECH_LEVEL
from core.training.mel_critic import MelCritic, judge, to_unit
from core.training.people import People
from core.training.pieces import ALPHABET, PAUSE_IDS, Batch, Constants
from core.training.precision import autocast
from core.types import PROJECT_MEL

RATE, CRITIC_RATE = 1.2e-3, 4e-4
WARM_UP = 150  # steps
DECAY_FROM, CRITIC_FROM = 0.45, 0.62  # shares of the time
AVERAGE_EVERY = 4  # steps
CROP = FRAMES  # frames that the critic looks at and the ear listens to
PLEASED = 0.25  # cosine distance below which the ear pushes less
CREDITS = {
    "clean": "LibriSpeech test-clean and parts of train-clean-100 (CC BY 4.0), VCTK p239 (CC BY 4.0), Kathleen (CC0), "
    "LJ Speech (public domain)",
    "lossy": "LibriSpeech dev-clean as MP3 (CC BY 4.0)",
    "accented": "speechocean762 (CC BY 4.0), Common Voice 6.1 English (CC0)",
    "heard": "196 more readers of LibriSpeech train-clean-100 (CC BY 4.0), where a recogniser was sure of their words",
    "shifted": "half of the first again in guises (other pitch and formants)",
}
"""Prepared part -> what it is, for the card."""


def voice_losses(model: Tempo, batch: Batch) -> tuple[dict[str, Tensor], Tensor, dict[str, float]]:
    """Losses by name, the mel made (B, T, n_mels), statistics for the card. The mel is made with real prosody."""
    mask = length_mask(batch.symbols, batch.ids.shape[1])
    with autocast(batch.mel.device):
        condition = model.condition(batch.voices, batch.kinds)
        states = model.encode(batch.ids, condition, mask)
        guess = model.prosody(states, condition, mask).float()
        pause_logits = model.pauses(without_pauses(batch.ids), condition, mask).float()
        made = model.decode(states, batch.prosody, batch.frames, condition, batch.mel.shape[1]).float()
    heard = length_mask(batch.length, batch.mel.shape[1])
    amount = heard.sum() * made.shape[-1]
    step = (made[:, 1:] - made[:, :-1]) - (batch.mel[:, 1:] - batch.mel[:, :-1])
    lasting = (batch.frames > 0).float()
    voiced = (batch.prosody[..., 3] > 0.5).float() * lasting
    error = guess[..., 0] - batch.frames.clamp(min=1).float().log()
    f0_error = guess[..., 1:4] - batch.prosody[..., :3]
    boundary, kind = pause_targets(batch.ids, batch.symbols)
    losses = {
        "mel": ((made - batch.mel).abs() * heard).sum() / amount,
        "delta": (step.abs() * heard[:, 1:]).sum() / amount,
        "duration": (error**2 * lasting).sum() / lasting.sum(),
        "f0": ((f0_error**2).mean(-1) * voiced).sum() / voiced.sum().clamp(min=1),
        "voicing": (
            F.binary_cross_entropy_with_logits(guess[..., 4], batch.prosody[..., 3], reduction="none") * lasting
        ).sum()
        / lasting.sum(),
        "level": ((guess[..., 5] - batch.prosody[..., 4]) ** 2 * lasting).sum() / lasting.sum(),
        "pause": F.cross_entropy(pause_logits[boundary], kind[boundary]) if boundary.any() else pause_logits.sum() * 0,
    }
    with torch.no_grad():
        pausing = lasting * ((batch.ids[..., 0] == PAUSE_IDS[1]) | (batch.ids[..., 0] == PAUSE_IDS[2]))
        phones = lasting - pausing
        told, real = guess[..., 0].exp(), batch.frames.float()
        statistics = {
            "phone_scale": float((real * phones).sum() / (told * phones).sum()),
            "pause_scale": float((real * pausing).sum() / (told * pausing).sum().clamp(min=1))
            if pausing.any()
            else 1.0,
            "duration_spread": float(((error**2 * phones).sum() / phones.sum()).sqrt()),
            "f0_spread": float(losses["f0"].sqrt()),
        }
    return losses, made, statistics


WEIGHTS = {"mel": 1.0, "delta": 0.3, "duration": 0.3, "f0": 0.1, "voicing": 0.1, "level": 0.1, "pause": 0.2}


def without_pauses(ids: Tensor) -> Tensor:
    """The same symbols with every pause written as a plain word boundary."""
    first = ids[..., 0]
    pause = (first == PAUSE_IDS[1]) | (first == PAUSE_IDS[2])
    return torch.cat([torch.where(pause, PAUSE_IDS[0], first)[..., None], ids[..., 1:]], -1)


def pause_targets(ids: Tensor, symbols: Tensor) -> tuple[Tensor, Tensor]:
    """Which symbols are word boundaries inside the piece, bool (B, N), and the kind of pause there, int64 (B, N)."""
    first = ids[..., 0]
    kind = (first == PAUSE_IDS[1]).long() + 2 * (first == PAUSE_IDS[2]).long()
    place = torch.arange(ids.shape[1], device=ids.device)[None]
    return ((first == PAUSE_IDS[0]) | (kind > 0)) & (place > 0) & (place < symbols[:, None] - 1), kind


class Trainer:
    """Everything that a running training holds. `step` makes one step; `state` and `restore` are the resume file."""

    def __init__(
        self,
        config: TempoConfig,
        constants: Constants,
        device: torch.device,
        seconds: float,
        rate: float = RATE,
        ear: Ear | None = None,
        people: People | None = None,
        critic_from: float = CRITIC_FROM,
        seed: int = 0,
    ):
        """ear: to listen to what is made. people: further voices to speak in, which it then listens to as well.
        critic_from: the share of the time before the critic. seed: of all that is drawn."""
        self.ear, self.people = ear and ear.to(device), people if ear else None
        self.critic_from, self.seed = critic_from, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.config, self.constants, self.device, self.total, self.rate = config, constants, device, seconds, rate
        self.model = Tempo(config).to(device)
        self.average = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self.critic = MelCritic(config.n_mels, config.d_voice).to(device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.critic_optimiser = torch.optim.AdamW(
            self.critic.parameters(), lr=CRITIC_RATE, betas=(0.5, 0.9), weight_decay=0.0, fused=True
        )
        self.steps = self.critic_steps = 0
        self.seconds = 0.0
        self.earlier = {"steps": 0, "recipe": ""}  # of the published weights that training began with
        self.statistics = {"phone_scale": 1.0, "pause_scale": 1.0, "duration_spread": 0.4, "f0_spread": 0.6}
        self.rng = random.Random(seed)

    @property
    def share(self) -> float:
        """How much of the time is spent, 0 to 1."""
        return min(1.0, self.seconds / self.total)

    def step(self, batch: Batch) -> dict[str, float]:
        """One optimiser step; the losses by name."""
        batch = batch.to(self.device)
        self.model.train()
        decay = 1.0 if self.share < DECAY_FROM else max(0.02, (1 - self.share) / (1 - DECAY_FROM))
        rate = self.rate * min(1.0, (self.steps + 1) / WARM_UP) * decay
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        losses, made, statistics = voice_losses(self.model, batch)
        total = sum(WEIGHTS[name] * loss for name, loss in losses.items())
        strangers, voices = self._as_strangers(batch, losses) if self.people else (made[:0], batch.voices[:0])
        total = total + WEIGHTS["f0"] * losses.get("level_f0", 0.0)
        if self.ear or self.share >= self.critic_from:
            total = total + self._pushes(batch, made, strangers, voices, losses)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        whole = bool(torch.isfinite(norm))
        if whole:  # one broken piece must not end a night's training
            self.optimiser.step()
        self.steps += 1
        keep = min(0.995, (self.steps + 1) / (self.steps + 20))
        if self.steps % AVERAGE_EVERY == 0:
            with torch.no_grad():
                for name, tensor in self.model.state_dict().items():
                    self.average[name].lerp_(tensor, 1 - keep**AVERAGE_EVERY)
        for name, value in statistics.items() if whole else ():
            self.statistics[name] += (value - self.statistics[name]) * (1 - min(keep, 0.99))
        return {**{name: float(loss.detach()) for name, loss in losses.items()}, "norm": float(norm), "rate": rate}

    def _as_strangers(self, batch: Batch, losses: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The first half of the batch said again in voices of `people`, as at inference but with the durations given:
        mels (n, T, n_mels), voices (n, 256). Adds the error of their mean F0 to the losses."""
        n = max(1, len(batch.ids) // 2)
        voices, pitch = (x.to(self.device) for x in self.people.draw(n, self.generator))
        ids, frames = batch.ids[:n], batch.frames[:n]
        mask = length_mask(batch.symbols[:n], ids.shape[1])
        with autocast(self.device):
            condition = self.model.condition(voices, torch.zeros_like(batch.kinds[:n]))
            states = self.model.encode(ids, condition, mask)
            guess = self.model.prosody(states, condition, mask).float()
            weight = frames * (batch.prosody[:n, :, 3] > 0.5)
            mean = (guess[..., 1:4].mean(-1) * weight).sum(1) / weight.sum(1).clamp(min=1)
            asked = (pitch - self.constants.f0_mean) / self.constants.f0_std
            losses["level_f0"] = F.smooth_l1_loss(mean, asked, beta=0.3)  # trackers err by octaves
            prosody = as_spoken(livelier(guess.detach()))
            return self.model.decode(states, prosody, frames, condition, batch.mel.shape[1]).float(), voices

    def _pushes(
        self, batch: Batch, made: Tensor, strangers: Tensor, voices: Tensor, losses: dict[str, Tensor]
    ) -> Tensor | float:
        """What critic and ear think of crops of the made mels, as a loss with their gradients."""
        known = [b for b, length in enumerate(batch.length.tolist()) if length >= CROP]
        others = [b for b in known if b < len(strangers)]
        if not known:
            return 0.0
        starts = {b: self.rng.randrange(int(batch.length[b]) - CROP + 1) for b in known}

        def crops(mel: Tensor, which: list[int]) -> Tensor:
            return torch.stack([mel[b, starts[b] : starts[b] + CROP] for b in which]) if which else mel[:0, :CROP]

        fake = torch.cat([crops(made, known), crops(strangers, others)])
        gradient = torch.zeros_like(fake)
        if self.ear:
            asked = torch.cat([batch.voices[known], voices[others]])
            listened = fake.detach().requires_grad_(True)
            with autocast(self.device):
                distance = 1 - (self.ear(listened) * asked).sum(-1)
            (g,) = torch.autograd.grad(distance.mean(), listened)
            gradient = min(1.0, float(distance.detach().mean()) / PLEASED) * to_unit(g)
            losses["heard"] = distance[: len(known)].mean().detach()
            if others:
                losses["stranger"] = distance[len(known) :].mean().detach()
        if self.share >= self.critic_from:
            # Of strangers, and of half of the rest, the critic is not told the voice: it knows no real speech in it.
            told = (torch.rand(len(known), 1, generator=self.generator) < 0.5).to(self.device) * batch.voices[known]
            told = torch.cat([told, torch.zeros_like(voices[others])])
            ramp = min(1.0, (self.critic_steps + 1) / 150)
            verdict = judge(self.critic, crops(batch.mel, known), fake, told, ramp)
            self.critic_optimiser.zero_grad(set_to_none=True)
            verdict.critic_loss.backward()
            self.critic_optimiser.step()
            self.critic_steps += 1
            losses.update(verdict.losses)
            gradient = gradient + verdict.gradient
        share_of_batch = fake.numel() / (batch.length.sum() * made.shape[-1])
        return (fake * gradient).sum() * share_of_batch

    def state(self) -> dict:
        """Tensors and plain values. Moments and averages in 16 bits: a resume needs no more, and the file halves."""
        moments = {
            k: {n: v.to(torch.bfloat16) if n != "step" else v for n, v in s.items()}
            for k, s in self.optimiser.state_dict()["state"].items()
        }
        return {
            "config": asdict(self.config),
            "constants": asdict(self.constants),
            "steps": self.steps,
            "critic_steps": self.critic_steps,
            "seconds": self.seconds,
            "statistics": dict(self.statistics),
            "earlier": self.earlier,
            "model": self.model.state_dict(),
            "critic": self.critic.state_dict(),
            "average": {name: t.to(torch.bfloat16) if t.is_floating_point() else t for name, t in self.average.items()},
            "moments": moments,
            "critic_optimiser": self.critic_optimiser.state_dict(),
        }

    def begin_with(self, card: Card, tensors: dict[str, Tensor]) -> None:
        """Takes published weights, and counts on from their steps. Their pauses stay: a second run over the same texts
        teaches the small network nothing but the texts (held-back loss 0.25, then 0.49, training's 0.05)."""
        self.model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        self.average = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self.statistics = dict(card.extra["statistics"])
        self.earlier = {"steps": card.steps, "recipe": card.extra["recipe"] + "; then "}
        self._keep_pauses()

    def _keep_pauses(self) -> None:
        for name, parameter in self.model.named_parameters():
            if name.startswith("pause"):
                parameter.requires_grad_(False)

    def restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.critic.load_state_dict(state["critic"])
        self.average = {
            name: t.to(self.device).to(self.model.state_dict()[name].dtype) for name, t in state["average"].items()
        }
        whole = self.optimiser.state_dict()
        whole["state"] = {
            k: {n: v.float() if n != "step" else v for n, v in s.items()} for k, s in state["moments"].items()
        }
        self.optimiser.load_state_dict(whole)
        self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.steps, self.critic_steps, self.seconds = state["steps"], state["critic_steps"], state["seconds"]
        self.statistics, self.earlier = dict(state["statistics"]), dict(state["earlier"])
        if self.earlier["recipe"]:
            self._keep_pauses()
        self.rng = random.Random(self.seed + self.steps)
        self.generator.manual_seed(self.seed + self.steps)

    def card(self, name: str, losses: dict[str, float], parts: list[str]) -> Card:
        """What the published file says of itself. parts: those really learnt from."""
        return Card(
            "synthesizer",
            "tempo",
            name,
            config=asdict(self.config),
            mel_format=PROJECT_MEL,
            space="ge2e-256",
            symbols=ALPHABET.name,
            languages=("en",),
            trained_on="; ".join(CREDITS[part] for part in parts if part in CREDITS)
            + ". English, without the ten unseen speakers. LibriSpeech's test set is training data here.",
            steps=self.earlier["steps"] + self.steps,
            licence="CC BY 4.0",
            metrics={f"validation_{k}": round(v, 4) for k, v in losses.items()},
            extra={
                "rank": 1,
                "constants": asdict(self.constants),
                "speech_level": SPEECH_LEVEL,
                "statistics": {k: round(v, 4) for k, v in self.statistics.items()},
                "recipe": self.earlier["recipe"]
                + f"{self.seconds / 60:.0f} minutes on {self.device.type}, critic {self.critic_steps} steps",
            },
        )
