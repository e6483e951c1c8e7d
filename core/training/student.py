"""The encoder's trainer: a student network, its losses, one step, the resume file. Used by `core.training.encoder`."""

import copy
import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.audio.partials import WINDOW_FRAMES
from core.errors import ModelError
from core.inference.registry import Card
from core.models.ge2e import GE2E
from core.models.voiceprint import Voiceprint, levelled
from core.training.augment import Augment, played, played_length
from core.training.checkpoint import shapes
from core.training.judging import architecture
from core.training.layers import Hints, can_be_told, layer_states
from core.training.listening import FRAMES, Listening
from core.training.precision import autocast
from core.training.sisters import Sisters
from core.training.speaker_losses import GE2ELoss
from core.training.strangers import strangers
from core.training.widening import widened
from core.training.windows import SpeakerBatches, Windows

FIRST = 10
"""Steps of a window of whose voice too little is known yet to be learnt from."""
RATES = {"alone": 4e-3, "apart": 3e-3}
"""Peak learning rates of the first stages."""
USES = {"alone": 3, "apart": 3, "together": 2}
"""Steps taken with each batch, spoilt anew for each: to ask the teacher costs nearly as much as to learn."""
PASSED = 0.1
"""Of what a layer is taught together with others, how much changes the ones below it."""
LOUDER = 2.0
"""Energy at which the teacher is asked, of the student's own level: of all voices brought to one level, it tells people
apart best 3 to 6 dB above that."""
UNKNOWN = 0.6
"""Of what a teacher's layer says, not known to a student's: above this its units were not told one by one."""
WARM_UP = 100
"""Steps in which the learning rate rises at the beginning of a stage."""
MEET = 48
"""Steps between two meetings of sisters."""
LATER = 6400
"""Samples that a window may begin later or earlier, each time that it is heard."""


@dataclass
class Settings:
    """How to train. minutes: of this and the resumed runs together, of which in the first alone_minutes each layer
    learns alone, in apart_minutes after them apart from the others (`core.training.layers`); speakers x per_speaker
    windows make a batch; hints: how much they count; spread: see `Trainer.published`."""

    minutes: float = 60.0
    alone_minutes: float = 0.0
    apart_minutes: float = 0.0
    speakers: int = 48
    per_speaker: int = 2
    learning_rate: float = 2e-3
    seed: int = 0
    publish_minutes: float = 10.0
    hints: float = 0.3
    spread: float = 1.15


class Trainer:
    """The student, its losses, its optimiser and the running average that gets published."""

    def __init__(
        self,
        windows: Windows,
        settings: Settings,
        network: Voiceprint | GE2E,
        teacher: GE2E | None = None,
        device: str = "cpu",
    ):
        """teacher: whose answers are learnt; without one the speakers' names alone teach, by the GE2E loss."""
        torch.manual_seed(settings.seed)
        self.steps, self.seconds, self.worked = 0, 0.0, 0.0  # seconds of all, and of this process since they met
        self.sisters: Sisters | None = None
        self.now, self.begun, self.met = "alone", 0, 0  # the stage that the weights are in, the steps it began at
        self.settings, self.device, self.windows = settings, device, windows
        self.network = network.to(device)
        self.teacher, self.hints, self.n_frames = None, None, WINDOW_FRAMES
        if teacher is not None:
            teacher = teacher.to(device).eval().requires_grad_(False)
            self.teacher, self.n_frames = Listening(teacher, windows, device=device), FRAMES
        self.ge2e = GE2ELoss().to(device)
        self.augment = Augment(settings.seed, strength=0.5)
        if teacher is not None:
            self._begin_at_the_mean()
            if can_be_told(self.network, teacher):
                sizes = network.config.n_layers, network.config.hidden_size, teacher.config.hidden_size
                self.hints = Hints(*sizes, network.config.stacked).to(device)
                self.hints.begin(self._some_told()[1])
        self.now = self.stage
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = self._new_optimiser()
        self.batches = SpeakerBatches(windows, settings.speakers, settings.per_speaker, settings.seed)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.earlier = {"steps": 0, "minutes": 0.0}  # of the published weights that training began with

    @torch.no_grad()
    def _begin_at_the_mean(self) -> None:
        """The teacher's mean is two thirds of every embedding: the student begins there and learns what differs."""
        mean = self.windows.targets[:: max(1, len(self.windows) // 5000)].astype(np.float32).mean(axis=0)
        self.network.linear.bias.copy_(torch.from_numpy(3 * mean / np.linalg.norm(mean)))

    @torch.no_grad()
    def _some_told(self, n: int = 400) -> tuple[Tensor, list[Tensor]]:
        """What `_some_mels` gives, `as_asked`, and what the teacher's layers say of it."""
        mels = as_asked(self._some_mels(n))
        return mels, layer_states(self.teacher.teacher.lstm, mels)

    @torch.no_grad()
    def _take_up_hints(self) -> None:
        """Goes on telling a network what it was told before. One whose units know other things than the teacher's is
        told nothing: it would have to unlearn them."""
        if self.hints is None:
            return
        mels, told = self._some_told()
        if max(self.hints.fit(self._states(mels, told), told)) > UNKNOWN:
            self.hints, self.now = None, "together"
            self.optimiser = self._new_optimiser()

    def _some_mels(self, n: int) -> Tensor:
        """The mel energies of n windows of training speech, always the same ones, (n, WINDOW_FRAMES, 40)."""
        some = np.random.default_rng(0).choice(len(self.windows), min(n, len(self.windows)), replace=False)
        return torch.from_numpy(np.stack([self.windows.mel(w) for w in some])).to(self.device)

    def _states(self, mels: Tensor, told: list[Tensor]) -> list[Tensor]:
        """What each of the student's layers says after each step. told: what the teacher's say."""
        passed = PASSED if self.stage == "together" else 0.0
        below = self.hints.below(told) if self.stage == "alone" else None
        return layer_states(self.network.lstm, self.network.features(mels), passed, below)

    def _new_optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self._learning(), weight_decay=0.01, betas=(0.9, 0.98))

    def _learning(self) -> list[nn.Parameter]:
        """All that learns."""
        parts = (self.network, self.ge2e, self.hints) if self.hints is not None else (self.network, self.ge2e)
        return [weight for part in parts for weight in part.parameters()]

    @property
    def stage(self) -> str:
        """How the layers learn now: "alone", "apart" or "together" (`core.training.layers`). What has been put together
        is not taken apart again."""
        minutes = self.seconds / 60 - self.settings.alone_minutes
        if self.hints is None or minutes >= self.settings.apart_minutes:
            return "together"
        return "alone" if minutes < 0 and self.now == "alone" else "apart"

    @property
    def architecture(self) -> str:
        """The student's, as cards and resume files call it."""
        return architecture(self.network)

    @property
    def size(self) -> int:
        """Of the vectors that sisters meet with: all that learns, and the seconds it took."""
        return sum(weight.numel() for weight in self._learning()) + 1

    def learning_rate(self) -> float:
        """In each stage a short rise, then half a cosine over its minutes."""
        alone, apart = self.settings.alone_minutes, self.settings.apart_minutes
        begin, end = {"alone": (0, alone), "apart": (alone, alone + apart)}.get(
            self.stage, (alone + apart, self.settings.minutes)
        )
        done = min(1.0, max(0.0, self.seconds / 60 - begin) / max(end - begin, 1e-9))
        rise = min(1.0, (self.steps - self.begun + 1) / WARM_UP)
        peak = RATES.get(self.stage, self.settings.learning_rate)
        return peak * rise * max(0.5 * (1 + math.cos(math.pi * done)), 0.005)

    def _draw(self) -> Tensor:
        """The mel energies of a batch (B, T, 40), each speaker's at its own speed, shorter and louder at random."""
        mels = []
        n_frames = self.n_frames if self.stage == "together" else WINDOW_FRAMES
        batch = self.batches.draw().reshape(-1, self.settings.per_speaker)
        for members, parts in zip(batch, self.augment.speeds(len(batch)), strict=True):
            later = self.batches.rng.integers(-LATER, LATER, len(members))
            cut = [
                self.windows.excerpt(w, played_length(parts, n_frames), shift)
                for w, shift in zip(members, later, strict=True)
            ]
            mels.append(played(torch.from_numpy(np.stack(cut)), parts))
        start = 2 * int(torch.randint(0, 20, (), generator=self.generator))
        louder = torch.randn(batch.size, 1, 1, generator=self.generator) * 2
        return torch.cat(mels)[:, start:] * 10 ** (louder / 10)

    def step(self) -> dict[str, float]:
        """One batch, which may be learnt from more than once. Returns the losses by name."""
        began = time.monotonic()
        if self.now != self.stage:
            self._begin_stage()
        mels = self._draw()
        if self.teacher is not None:
            mels = strangers(mels, self.settings.per_speaker, self.generator)
        mels = self.augment.recorded(mels)
        if self.hints is not None:
            mels = as_asked(mels)
        answers = None
        if self.teacher is not None:
            with torch.no_grad(), autocast(self.device):
                answers = self.teacher.hear(mels.to(self.device))
        self.network.train()
        for _ in range(USES[self.stage] if self.teacher is not None else 1):
            heard = self.augment(mels) if self.stage == "together" else mels
            clean = (heard == mels).flatten(1).all(dim=1)
            total, losses = self._learn(heard.to(self.device), clean, answers)
            for group in self.optimiser.param_groups:
                group["lr"] = self.learning_rate()
            self.optimiser.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(self.optimiser.param_groups[0]["params"], 1.0)
            self.optimiser.step()
            self.steps += 1
            self._follow()
        self.worked += time.monotonic() - began
        if self.sisters is None:
            self.seconds, self.worked = self.seconds + self.worked, 0.0
        elif self.steps - self.met >= MEET:
            self._meet()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _meet(self) -> None:
        """Goes on from the mean of what all sisters have come to. Whatever depends on the time (stages, rates) changes
        here alone, so that it does for all at once."""
        weights = self._learning()
        mine = nn.utils.parameters_to_vector(weights).detach().cpu()
        mean, worked = self.sisters.mean(torch.cat([mine, torch.tensor([self.worked])])).split([len(mine), 1])
        nn.utils.vector_to_parameters(mean.to(self.device), weights)
        self.met, self.seconds, self.worked = self.steps, self.seconds + float(worked), 0.0

    def _begin_stage(self) -> None:
        """Layers that learnt alone are put together where the next stage begins."""
        if self.now == "alone":
            self.hints.put_together(self.network.lstm)
            self.average.load_state_dict(self.network.state_dict())
            self.optimiser = self._new_optimiser()
        self.now, self.begun = self.stage, self.steps

    def _learn(
        self, heard: Tensor, clean: Tensor, answers: tuple[list[Tensor], Tensor] | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and its parts by name. heard: energies (B, T, 40), as the student hears them; clean:
        (B,) whether the teacher heard the same; answers: its own, as `Listening.hear` gives them."""
        with autocast(self.device):
            if self.hints is None:
                each = self.network.soft_each(heard)
            else:
                states = self._states(heard, answers[0])
                each = self.network.soft_answers(states[-1])
        total = ge2e = self.ge2e(each[:, -1].view(-1, self.settings.per_speaker, each.shape[2]))
        losses = {"ge2e": ge2e}
        if answers is None:
            return total, losses
        told, wanted = answers
        every = wanted.shape[1] // each.shape[1]
        n_steps = WINDOW_FRAMES // every
        distance = 1 - (each * wanted[:, every - 1 :: every]).sum(dim=2)
        window = distance[:, :n_steps][:, -1].mean()
        losses |= {"window": window, "heard on": distance[:, -1].mean(), "on the way": distance[:, FIRST:].mean()}
        total = losses["on the way"] + 0.25 * (window + losses["heard on"]) + 0.02 * ge2e
        if self.hints is not None and clean.any():
            with autocast(self.device):
                hints = self.hints(
                    [layer[clean, :n_steps] for layer in states], [layer[clean, :WINDOW_FRAMES] for layer in told]
                )
            losses |= {f"layer {number}": hint for number, hint in enumerate(hints, 1)}
            total = total + (self.settings.hints if self.stage == "together" else 1.0) * sum(hints)
        return total, losses

    @torch.no_grad()
    def _follow(self) -> None:
        """The running average takes a small step towards the network."""
        pace = max(0.003, 1 / (self.steps + 1) if self.steps < 20 else 0.02 if self.steps < 300 else 0.003)
        for mine, theirs in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            mine.lerp_(theirs, pace)

    @torch.no_grad()
    def published(self) -> Voiceprint | GE2E:
        """The running average as others get it; taught by a teacher, its voices `spread` apart from their mean.

        A student unsure of a voice answers with something nearer the mean of all, which makes everybody look alike; the
        factor gives similarities their range back.
        """
        network = copy.deepcopy(self.average)
        if self.now == "alone":
            self.hints.put_together(network.lstm)
        if self.teacher is not None:
            self._spread(network, self.settings.spread)
        return network

    @torch.no_grad()
    def _spread(self, network: Voiceprint | GE2E, factor: float) -> None:
        """Puts what the network answers `factor` times as far from its mean answer to training speech."""
        mean = torch.cat([network.raw(part) for part in self._some_mels(1500).split(128)]).mean(dim=0)
        network.linear.weight.mul_(factor)
        network.linear.bias.copy_(factor * network.linear.bias + (1 - factor) * mean)

    def begin_with(self, card: Card, tensors: dict[str, Tensor]) -> None:
        """Takes published weights, of a network as wide or narrower, and counts on from their steps and minutes.

        Raises ModelError where they do not fit.
        """
        try:
            self.network.load_state_dict(widened(tensors, self.network.state_dict()))
        except (KeyError, RuntimeError):
            raise ModelError(
                f"The published encoder {card.name} does not fit into this one.",
                "Leave out --from-published, or give --hidden-size as many units as it has, or more.",
            ) from None
        if self.teacher is not None:
            self._spread(self.network, 1 / self.settings.spread)  # as it was when it was learnt
        self.average.load_state_dict(self.network.state_dict())
        self.now = "together"
        self._take_up_hints()
        self.earlier = {"steps": card.steps, "minutes": card.extra["minutes"]}

    def state(self) -> dict:
        """Everything needed to go on: plain values and tensors."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "ge2e": self.ge2e.state_dict(),
            "hints": self.hints.state_dict() if self.hints is not None else {},
            "optimiser": self.optimiser.state_dict(),
            "config": asdict(self.network.config),
            "settings": asdict(self.settings),
            "stage": self.now,
            "steps": self.steps,
            "seconds": self.seconds,
            "earlier": self.earlier,
        }

    def restore(self, state: dict) -> None:
        """Goes on from `state`. Batches are drawn from another seed. Raises ModelError on other sizes."""
        if state["config"] != asdict(self.network.config):
            raise ModelError(
                f"The resume file is of a network with {state['config']['hidden_size']} units, not of this one.",
                "Give its --hidden-size, or leave out --resume.",
            )
        self.now = state.get("stage", "together")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.ge2e.load_state_dict(state["ge2e"])
        hints = state.get("hints", {})
        if self.hints is not None and shapes(hints) != shapes(self.hints.state_dict()):  # an older file
            self._take_up_hints()
        else:
            if self.hints is not None:
                self.hints.load_state_dict(hints)
            self.optimiser.load_state_dict(state["optimiser"])
        self.steps, self.seconds, self.earlier = state["steps"], state["seconds"], state["earlier"]
        self.met = self.steps
        self.batches.rng = np.random.default_rng(self.settings.seed + self.steps)
        self.generator.manual_seed(self.settings.seed + self.steps)
        self.augment.generator.manual_seed(self.settings.seed + self.steps)


def as_asked(mels: Tensor) -> Tensor:
    """mels: energies (B, T, 40) -> the same, as a teacher hears them whose layers' states are told: each window at one
    level, since the student, which hears all at one, cannot know what depends on it."""
    return LOUDER * levelled(mels)
