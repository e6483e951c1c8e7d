"""The encoder's trainer: a student network, its losses, one step, the resume file. Used by `core.training.encoder`."""

import copy
import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.audio.partials import SPEECH_ENERGY, WINDOW_FRAMES
from core.evaluation.verification import equal_error_rate, pair_similarities
from core.inference.registry import Card
from core.models.ge2e import GE2E
from core.models.voiceprint import Voiceprint
from core.training.augment import Augment
from core.training.speaker_losses import Contrast, GE2ELoss
from core.training.windows import SpeakerBatches, Windows

LOG_FLOOR = 1e-6
"""Added to mel energies before the logarithm: 50 dB under speech at the encoder's level."""


@dataclass
class Settings:
    """How to train. minutes: of this and the resumed runs together; speakers x per_speaker windows make a batch.

    The weights are those of the losses beside the two cosines, which have weight 1.
    """

    minutes: float = 60.0
    speakers: int = 48
    per_speaker: int = 2
    learning_rate: float = 1.2e-3
    ge2e_weight: float = 0.1
    contrast_weight: float = 0.1
    spread: float = 1.1
    seed: int = 0
    publish_minutes: float = 10.0


class Trainer:
    """The student, its losses, its optimiser and the running average that gets published."""

    def __init__(self, windows: Windows, settings: Settings, network: Voiceprint | GE2E, device: str = "cpu"):
        torch.manual_seed(settings.seed)
        self.settings, self.device, self.windows = settings, device, windows
        self.network = network.to(device)
        self.ge2e = GE2ELoss().to(device)
        self.augment = Augment(settings.seed, strength=0.65)
        self.contrast = Contrast(windows) if windows.targets is not None else None
        if isinstance(network, Voiceprint):
            self._begin_at_the_mean()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        last = [self.network.linear.weight]
        matrices = [p for p in self.network.parameters() if p.ndim > 1 and p is not last[0]]
        others = [p for p in [*self.network.parameters(), *self.ge2e.parameters()] if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": 0.02, "pace": 1.0},
                {"params": others, "weight_decay": 0.0, "pace": 1.0},
                # A thousand inputs agree on a step of the last layer, and its output is short: it must go slower.
                {"params": last, "weight_decay": 0.0, "pace": 0.2},
            ],
            betas=(0.9, 0.98),
        )
        self.batches = SpeakerBatches(windows, settings.speakers, settings.per_speaker, settings.seed)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.steps, self.seconds = 0, 0.0
        self.earlier = {"steps": 0, "minutes": 0.0}  # of the published weights that training began with

    @torch.no_grad()
    def _begin_at_the_mean(self) -> None:
        """The teacher's mean is two thirds of every embedding: the student begins there and learns what differs."""
        if self.windows.targets is not None:
            mean = self.windows.targets[:: max(1, len(self.windows) // 5000)].astype(np.float32).mean(axis=0)
            self.network.linear.bias.copy_(torch.from_numpy(30 * mean / np.linalg.norm(mean)))

    def autocast(self) -> torch.autocast:
        """16-bit arithmetic where that is quicker."""
        return torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=has_bfloat16(self.device))

    def features(self, mels: Tensor) -> Tensor:
        """What the network hears of mel energies: their logarithm, or for the published network themselves."""
        return (torch.log(mels + LOG_FLOOR) if isinstance(self.network, Voiceprint) else mels).to(self.device)

    def learning_rate(self) -> float:
        """A short rise, then half a cosine over the minutes given."""
        done = min(1.0, self.seconds / (60 * self.settings.minutes))
        fall = 0.5 * (1 + math.cos(math.pi * done))
        return self.settings.learning_rate * min(1.0, (self.steps + 1) / 100) * max(fall, 0.005)

    def step(self) -> dict[str, float]:
        """One batch. Returns the losses by name."""
        began = time.monotonic()
        picked = self.batches.draw()
        mels = torch.from_numpy(np.stack([self.windows.mel(w) for w in picked]))
        # The teacher heard 1.6 s; the student must sometimes do with less of it.
        frames = int(torch.randint(80, WINDOW_FRAMES + 1, (2,), generator=self.generator).max())
        start = int(torch.randint(0, WINDOW_FRAMES - frames + 1, (1,), generator=self.generator))
        mels = self.augment(mels[:, start : start + frames])
        level = self.augment.level(mels)
        jitter = 10 ** (torch.randn(len(mels), 1, 1, generator=self.generator) * 2 / 10)
        mels = self.features(mels * (SPEECH_ENERGY / level) * jitter)
        self.network.train()
        with self.autocast():
            embeddings = self.network.soft(mels)
        losses = {"ge2e": self.ge2e(embeddings.view(-1, self.settings.per_speaker, embeddings.shape[1]))}
        total = losses["ge2e"]
        if self.windows.targets is not None:
            target = torch.from_numpy(self.windows.targets[picked].astype(np.float32)).to(self.device)
            voice = torch.from_numpy(self.windows.voices[picked].astype(np.float32)).to(self.device)
            losses["window"] = 1 - (embeddings * target).sum(dim=1).mean()
            losses["voice"] = 1 - (embeddings * voice).sum(dim=1).mean()
            losses["contrast"] = self.contrast(embeddings, picked, self.generator)
            total = losses["window"] + losses["voice"] + self.settings.ge2e_weight * total
            total = total + self.settings.contrast_weight * losses["contrast"]
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate() * group["pace"]
        self.optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 3.0)
        self.optimiser.step()
        self.steps += 1
        self._follow()
        self.seconds += time.monotonic() - began
        return {name: float(loss.detach()) for name, loss in losses.items()}

    @torch.no_grad()
    def _follow(self) -> None:
        """The running average takes a small step towards the network."""
        pace = max(0.003, 1 / (self.steps + 1) if self.steps < 20 else 0.02 if self.steps < 300 else 0.003)
        for mine, theirs in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, pace)
            else:
                mine.copy_(theirs)

    @torch.no_grad()
    def published(self) -> Voiceprint | GE2E:
        """The running average as others get it, its voices `spread` apart from their mean.

        A student unsure of a voice answers with something nearer the mean of all, which makes everybody look alike; the
        factor gives similarities their range back. Measured on training speakers it does not move the error rate.
        """
        network = copy.deepcopy(self.average)
        factor = self.settings.spread
        if factor == 1 or self.windows.targets is None or not isinstance(network, Voiceprint):
            return network
        some = np.random.default_rng(0).choice(len(self.windows), min(1500, len(self.windows)), replace=False)
        mels = torch.from_numpy(np.stack([self.windows.mel(w) for w in some]))
        mean = torch.cat([network.raw(self.features(part)) for part in mels.split(128)]).mean(dim=0)
        network.linear.weight.mul_(factor)
        network.linear.bias.copy_(factor * network.linear.bias + (1 - factor) * mean)
        return network

    @torch.no_grad()
    def judge(self, windows: Windows, per_speaker: int = 12) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
        """Numbers on other speakers, clean: EER, same and different similarity, cosine to the teacher.

        Returns them with the utterances' vectors (n, d) and speakers (n,).
        """
        network = self.published()
        rng = np.random.default_rng(0)
        chosen = []
        for speaker in np.unique(windows.speaker):
            utterances = np.unique(windows.utterance[windows.speaker == speaker])
            chosen += list(rng.permutation(utterances)[:per_speaker])
        vectors, speakers, cosines = [], [], []
        for utterance in chosen:
            members = np.flatnonzero(windows.utterance == utterance)[:8]
            mels = torch.from_numpy(np.stack([windows.mel(w) for w in members]))
            vector = network(self.features(mels)).mean(dim=0)
            vectors.append((vector / vector.norm()).cpu().numpy())
            speakers.append(windows.speaker[members[0]])
            if windows.voices is not None:
                cosines.append(float(vectors[-1] @ windows.voices[members[0]].astype(np.float32)))
        vectors, speakers = np.stack(vectors), np.array(speakers)
        same, different = pair_similarities(vectors, speakers)
        numbers = {
            "eer": equal_error_rate(same, different),
            "same": float(same.mean()) if len(same) else float("nan"),
            "different": float(different.mean()) if len(different) else float("nan"),
        }
        if cosines:
            numbers["teacher_cosine"] = float(np.mean(cosines))
        return numbers, vectors, speakers

    def begin_with(self, card: Card, tensors: dict[str, Tensor]) -> None:
        """Takes published weights and counts on from their steps and minutes."""
        whole = {**self.network.state_dict(), **{name: tensor.float() for name, tensor in tensors.items()}}
        self.network.load_state_dict(whole)
        self.average.load_state_dict(self.network.state_dict())
        self.earlier = {"steps": card.steps, "minutes": card.extra["minutes"]}

    def state(self) -> dict:
        """Everything needed to go on: plain values and tensors."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "ge2e": self.ge2e.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "config": asdict(self.network.config),
            "settings": asdict(self.settings),
            "steps": self.steps,
            "seconds": self.seconds,
            "earlier": self.earlier,
        }

    def restore(self, state: dict) -> None:
        """Goes on from `state`. Batches are drawn from another seed. Raises RuntimeError on other sizes."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.ge2e.load_state_dict(state["ge2e"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps, self.seconds, self.earlier = state["steps"], state["seconds"], state["earlier"]
        self.batches.rng = np.random.default_rng(self.settings.seed + self.steps)
        self.generator.manual_seed(self.settings.seed + self.steps)
        self.augment.generator.manual_seed(self.settings.seed + self.steps)


def has_bfloat16(device: str) -> bool:
    """Whether 16-bit arithmetic is quicker there: not on a CPU that would have to imitate it."""
    return device != "cpu" or getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
