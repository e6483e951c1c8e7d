"""python -m cli.train encoder: teaches a small network to hear voices as the published encoder does.

By distillation (default): every window of speech has the teacher's embedding, stored by `core.training.teacher`; the
student hears the window through rooms, noise and telephones and must still find it. The GE2E loss on the speakers'
names pulls a voice's windows together besides. With --speakers FOLDER (a folder per speaker) there is no teacher: the
GE2E loss alone makes a space of its own. A resume file and a picture of the map are kept in runs/encoder/.
"""

import argparse
import copy
import math
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.audio.partials import SPEECH_ENERGY, WINDOW_FRAMES
from core.errors import ModelError
from core.evaluation.verification import equal_error_rate, pair_similarities
from core.inference import registry
from core.inference.registry import PRETRAINED, Card
from core.models.ge2e import GE2E, GE2EConfig
from core.models.voiceprint import Voiceprint, VoiceprintConfig
from core.training.augment import Augment, Strangers
from core.training.checkpoint import load_resume, publish, save_resume
from core.training.data import CACHE, REPOSITORY
from core.training.speaker_losses import Contrast, GE2ELoss
from core.training.windows import SpeakerBatches, Windows, distillation_windows, own_windows

RUNS = REPOSITORY / "runs" / "encoder"
LOG_FLOOR = 1e-6
"""Added to mel energies before the logarithm: 50 dB under speech at the encoder's level."""

CREDITS = (
    "LibriSpeech (CC BY 4.0), VCTK (CC BY 4.0), speechocean762 (CC BY 4.0), Kathleen (CC0), Common Voice 6.1 (CC0), "
    "LJ Speech (public domain); taught by Resemblyzer's GE2E encoder (Apache-2.0)"
)


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
    strangers: float = 0.5
    """Share of a batch's speakers that are changed into somebody else, whom the teacher then hears too."""


class Trainer:
    """The student, its losses, its optimiser and the running average that gets published."""

    def __init__(
        self,
        windows: Windows,
        settings: Settings,
        network: Voiceprint | GE2E,
        device: str = "cpu",
        teacher: GE2E | None = None,
    ):
        torch.manual_seed(settings.seed)
        self.settings, self.device, self.windows = settings, device, windows
        self.teacher = teacher.to(device).eval() if teacher is not None else None
        self.strangers = Strangers(settings.seed)
        self.network = network.to(device)
        self.ge2e = GE2ELoss().to(device)
        self.augment = Augment(settings.seed)
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

    @torch.no_grad()
    def _meet_strangers(self, mels: Tensor) -> tuple[int, Tensor]:
        """Changes the first of the batch's speakers in place. Returns how many windows, and what the teacher hears."""
        n = round(self.settings.strangers * len(mels) / self.settings.per_speaker) * self.settings.per_speaker
        if self.teacher is None or not n:
            return 0, mels[:0]
        changed = self.strangers(mels[:n], self.settings.per_speaker)
        mels[:n] = changed * (SPEECH_ENERGY / self.augment.level(changed))
        with self.autocast():
            return n, nn.functional.normalize(self.teacher(mels[:n].to(self.device)).float(), dim=1)

    def step(self) -> dict[str, float]:
        """One batch. Returns the losses by name."""
        began = time.monotonic()
        picked = self.batches.draw()
        mels = torch.from_numpy(np.stack([self.windows.mel(w) for w in picked]))
        strangers, heard = self._meet_strangers(mels)
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
            known, embeddings = picked[strangers:], embeddings.float()
            target = torch.from_numpy(self.windows.targets[known].astype(np.float32)).to(self.device)
            voice = torch.from_numpy(self.windows.voices[known].astype(np.float32)).to(self.device)
            losses["window"] = 1 - (embeddings[strangers:] * target).sum(dim=1).mean()
            losses["voice"] = 1 - (embeddings[strangers:] * voice).sum(dim=1).mean()
            losses["contrast"] = self.contrast(embeddings[strangers:], known, self.generator)
            share = strangers / len(picked)
            known = losses["window"] + losses["voice"] + self.settings.contrast_weight * losses["contrast"]
            total = self.settings.ge2e_weight * total + (1 - share) * known
            if strangers:
                losses["stranger"] = 1 - (embeddings[:strangers] * heard).sum(dim=1).mean()
                total = total + 2 * share * losses["stranger"]
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
        """Takes published weights and counts on from their minutes. Blocks that they lack begin almost silent."""
        state = self.network.state_dict()
        for name in state.keys() - tensors.keys():
            if name.endswith(".1.weight"):
                state[name].fill_(0.1)
        self.network.load_state_dict({**state, **{name: tensor.float() for name, tensor in tensors.items()}})
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


def draw_map(path: Path, vectors: np.ndarray, speakers: np.ndarray, size: int = 480) -> None:
    """Writes the map of some voices as a PNG: principal components, a colour per speaker."""
    from core.training.picture import write_png

    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    points = centred @ axes[:2].T
    points = (points - points.min(axis=0)) / np.ptp(points, axis=0).clip(1e-6) * (size - 30) + 15
    image = np.full((size, size, 3), 255, np.uint8)
    names = np.unique(speakers)
    for (x, y), speaker in zip(points.astype(int), speakers, strict=True):
        turn = 2 * np.pi * (np.searchsorted(names, speaker) / len(names) + np.array([0, 1 / 3, 2 / 3]))
        image[y - 4 : y + 5, x - 4 : x + 5] = 120 + 110 * np.cos(turn)
    write_png(path, image)


def publish_student(trainer: Trainer, name: str, numbers: dict[str, float], folder: Path, distilled: bool) -> Path:
    """Writes pretrained/encoder/<name>.safetensors from the running average."""
    rank = 10 if distilled else 1
    card = Card(
        role="encoder",
        architecture="voiceprint" if isinstance(trainer.network, Voiceprint) else "ge2e",
        name=name,
        config=asdict(trainer.network.config),
        space="ge2e-256" if distilled else name,
        trained_on=CREDITS if distilled else "speakers of one's own",
        steps=trainer.earlier["steps"] + trainer.steps,
        metrics={f"training_{key}": round(value, 4) for key, value in numbers.items()},
        licence="GPL-3.0-or-later",
        extra={
            "rank": rank,
            "log_floor": LOG_FLOOR,
            "set_level": True,
            "minutes": round(trainer.earlier["minutes"] + trainer.seconds / 60, 1),
        },
    )
    state = {
        key: value for key, value in trainer.published().state_dict().items() if not key.endswith("num_batches_tracked")
    }
    return publish(card, state, folder)


def train(
    trainer: Trainer, judged: Windows, name: str, folder: Path, runs: Path, max_steps: int | None = None
) -> dict[str, float]:
    """Trains for the minutes set (or max_steps), saving and publishing as it goes. Returns the last judgement."""
    settings, distilled = trainer.settings, trainer.windows.targets is not None
    runs.mkdir(parents=True, exist_ok=True)
    kind = "voiceprint" if isinstance(trainer.network, Voiceprint) else "ge2e"
    means: dict[str, float] = {}
    last_published = trainer.seconds

    def judge_and_save() -> dict[str, float]:
        numbers, vectors, speakers = trainer.judge(judged)
        print("  judged: " + "  ".join(f"{key} {value:.4f}" for key, value in numbers.items()), flush=True)
        draw_map(runs / f"{kind}-map.png", vectors, speakers)
        save_resume(runs / f"{kind}.pt", trainer.state())
        print(f"  published {publish_student(trainer, name, numbers, folder, distilled)}", flush=True)
        return numbers

    try:
        while trainer.seconds < 60 * settings.minutes and (max_steps is None or trainer.steps < max_steps):
            losses = trainer.step()
            means = {key: 0.95 * means.get(key, value) + 0.05 * value for key, value in losses.items()}
            if trainer.steps % 50 == 0:
                rate = trainer.steps * settings.speakers * settings.per_speaker / trainer.seconds
                text = "  ".join(f"{key} {value:.4f}" for key, value in means.items())
                print(f"step {trainer.steps}  {trainer.seconds / 60:.1f} min  {text}  {rate:.0f} windows/s", flush=True)
            if trainer.seconds - last_published > 60 * settings.publish_minutes:
                last_published = trainer.seconds
                judge_and_save()
    except KeyboardInterrupt:
        print("stopped; what was learnt is kept", flush=True)
    return judge_and_save()


def smoke_windows(seed: int = 0) -> Windows:
    """Eight invented speakers of two seconds each: enough to run every line."""
    rng = np.random.default_rng(seed)
    t = np.arange(32000) / 16000
    sounds = [
        (8000 * np.sin(2 * np.pi * (90 + 30 * s) * t) + 800 * rng.standard_normal(32000)).astype(np.int16)
        for s in range(8)
    ]
    count = np.repeat(np.arange(8), 2)
    targets = rng.random((8, 256)).astype(np.float32)
    targets = (targets / np.linalg.norm(targets, axis=1, keepdims=True)).astype(np.float16)[count]
    return Windows(sounds, count, np.tile([0, 6400], 8), np.full(16, 25600), count, np.arange(16), targets, targets)


def new_student(kind: str, tiny: bool) -> Voiceprint | GE2E:
    """A network to teach. It always begins from random weights: a teacher gives targets, never its own weights."""
    if kind == "voiceprint":
        small = VoiceprintConfig(early=16, channels=16, dilations=(1,), pooled=16, attention=8)
        return Voiceprint(small if tiny else VoiceprintConfig())
    return GE2E(GE2EConfig(hidden_size=16, n_layers=2) if tiny else GE2EConfig())


def teacher_if_there(windows: Windows) -> GE2E | None:
    """The published encoder, to be asked about strangers; None without one, or where nobody is to be imitated."""
    from core.training.teacher import load_teacher

    try:
        return load_teacher() if windows.targets is not None else None
    except ModelError as error:
        print(f"{error} Training goes on without strangers.", flush=True)
        return None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cli.train encoder", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of training, earlier runs included")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from runs/encoder/<student>.pt")
    parser.add_argument("--from-published", action="store_true", help="begin with the published weights")
    parser.add_argument("--rate", type=float, default=Settings.learning_rate, help="peak learning rate")
    parser.add_argument("--from-scratch", action="store_true", help="GE2E loss alone, no teacher (a space of its own)")
    parser.add_argument("--speakers", type=Path, help="a folder with one folder per speaker; implies --from-scratch")
    parser.add_argument("--student", choices=("voiceprint", "ge2e"), default="voiceprint", help="the network to teach")
    parser.add_argument("--name", help="of the published file (default: the student's)")
    parser.add_argument("--publish-every", type=float, default=10.0, help="minutes of training")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument(
        "--output", type=Path, default=PRETRAINED, help="the folder that holds encoder/<name>.safetensors"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="three tiny steps on invented sound")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    settings = Settings(args.minutes, learning_rate=args.rate, seed=args.seed, publish_minutes=args.publish_every)
    if args.smoke:
        windows = judged = smoke_windows(args.seed)
        settings.speakers, settings.per_speaker = 4, 2
    elif args.speakers is not None:
        windows, judged = own_windows(args.speakers)
    else:
        if not any((CACHE / "encoder").glob("windows-*.npz")):
            from core.training import teacher

            print("first the teacher hears everything, once", flush=True)
            if teacher.main([]):
                return 1
        windows, judged = distillation_windows()
    if args.from_scratch:
        windows.targets = windows.voices = judged.targets = judged.voices = None
    # Another space must not pass for the shipped one.
    name = args.name or ("my-encoder" if windows.targets is None else args.student)
    network = new_student(args.student, args.smoke)
    trainer = Trainer(windows, settings, network, args.device, teacher_if_there(windows))
    state = load_resume(args.runs / f"{args.student}.pt") if args.resume else None
    if state is not None:
        trainer.restore(state)
    elif args.from_published:
        card = registry.find("encoder", name, args.output)
        trainer.begin_with(card, registry.read_tensors(card))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill keeps what was learnt, as Ctrl-C does
    print(f"{len(windows)} windows of {len(trainer.batches.groups)} speakers, {len(judged)} to judge by", flush=True)
    train(trainer, judged, name, args.output, args.runs, max_steps=trainer.steps + 3 if args.smoke else None)
    return 0
