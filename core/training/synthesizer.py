"""python -m cli.train synthesizer: trains Tempo (`core.models.tempo`) from recorded speech and publishes its weights.

First regression alone; then, for the last third, a critic sharpens the mel. Learning rate and phases follow the time
spent (`--minutes`), not the steps, so a slow machine runs the whole recipe too. Stops and resumes at any point.
"""

import argparse
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.inference import registry
from core.inference.registry import PRETRAINED, Card
from core.models.tempo import Tempo, TempoConfig, length_mask
from core.training.checkpoint import load_resume, publish, save_resume
from core.training.data import CACHE, REPOSITORY
from core.training.features import SPEECH_LEVEL
from core.training.mel_critic import MelCritic, judge
from core.training.picture import mel_picture, write_png
from core.training.pieces import ALPHABET, PAUSE_IDS, Batch, Constants, Pieces

RUNS = REPOSITORY / "runs" / "synthesizer"
RATE, CRITIC_RATE = 1.2e-3, 4e-4
WARM_UP = 150  # steps
DECAY_FROM, CRITIC_FROM = 0.45, 0.62  # shares of the time
AVERAGE_EVERY = 4  # steps
CROP = 96  # frames that the critic looks at
KIND_WEIGHTS = {0: 1.0, 1: 0.7, 2: 0.4, 3: 1.0}
LATE_KIND_WEIGHTS = {0: 1.0, 1: 0.25, 2: 0.0, 3: 0.0}
SPEAKER_MINUTES = 18.0
TRAINED_ON = (
    "LibriSpeech test-clean, dev-clean, parts of train-clean-100 (CC BY 4.0), VCTK p239 (CC BY 4.0), Kathleen (CC0), "
    "LJ Speech (public domain), speechocean762 (CC BY 4.0), Common Voice 6.1 (CC0): English, without the ten "
    "unseen speakers. LibriSpeech's test set is training data here."
)


def voice_losses(model: Tempo, batch: Batch, autocast) -> tuple[dict[str, Tensor], Tensor, dict[str, float]]:
    """Losses by name, the mel made (B, T, n_mels), statistics for the card. The mel is made with real prosody."""
    mask = length_mask(batch.symbols, batch.ids.shape[1])
    with autocast():
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
        self, config: TempoConfig, constants: Constants, device: torch.device, seconds: float, rate: float = RATE
    ):
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
        self.statistics = {"phone_scale": 1.0, "pause_scale": 1.0, "duration_spread": 0.4, "f0_spread": 0.6}
        self.rng = random.Random(0)

    @property
    def share(self) -> float:
        """How much of the time is spent, 0 to 1."""
        return min(1.0, self.seconds / self.total)

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16)

    def step(self, batch: Batch) -> dict[str, float]:
        """One optimiser step; the losses by name."""
        batch = batch.to(self.device)
        self.model.train()
        decay = 1.0 if self.share < DECAY_FROM else max(0.02, (1 - self.share) / (1 - DECAY_FROM))
        rate = self.rate * min(1.0, (self.steps + 1) / WARM_UP) * decay
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        losses, made, statistics = voice_losses(self.model, batch, self.autocast)
        total = sum(WEIGHTS[name] * loss for name, loss in losses.items())
        if self.share >= CRITIC_FROM:
            total = total + self._criticise(batch, made, losses)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.steps += 1
        keep = min(0.995, (self.steps + 1) / (self.steps + 20))
        if self.steps % AVERAGE_EVERY == 0:
            with torch.no_grad():
                for name, tensor in self.model.state_dict().items():
                    self.average[name].lerp_(tensor, 1 - keep**AVERAGE_EVERY)
        for name, value in statistics.items():
            self.statistics[name] += (value - self.statistics[name]) * (1 - min(keep, 0.99))
        return {**{name: float(loss.detach()) for name, loss in losses.items()}, "norm": float(norm), "rate": rate}

    def _criticise(self, batch: Batch, made: Tensor, losses: dict[str, Tensor]) -> Tensor | float:
        long_enough = [b for b, length in enumerate(batch.length.tolist()) if length >= CROP]
        if not long_enough:
            return 0.0
        starts = [self.rng.randrange(int(batch.length[b]) - CROP + 1) for b in long_enough]

        def crops(mel: Tensor) -> Tensor:
            return torch.stack([mel[b, s : s + CROP] for b, s in zip(long_enough, starts, strict=True)])

        fake = crops(made)
        ramp = min(1.0, (self.critic_steps + 1) / 150)
        verdict = judge(self.critic, crops(batch.mel), fake, batch.voices[long_enough], self.autocast, ramp, 0.7 * ramp)
        self.critic_optimiser.zero_grad(set_to_none=True)
        verdict.critic_loss.backward()
        self.critic_optimiser.step()
        self.critic_steps += 1
        losses.update(verdict.losses)
        share_of_batch = fake.numel() / (batch.length.sum() * made.shape[-1])
        return (fake * verdict.gradient).sum() * share_of_batch

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
            "model": self.model.state_dict(),
            "critic": self.critic.state_dict(),
            "average": {name: t.to(torch.bfloat16) if t.is_floating_point() else t for name, t in self.average.items()},
            "moments": moments,
            "critic_optimiser": self.critic_optimiser.state_dict(),
        }

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
        self.statistics = dict(state["statistics"])
        self.rng = random.Random(self.steps)

    def card(self, name: str, losses: dict[str, float], metrics: dict | None = None) -> Card:
        """What the published file says of itself."""
        from core.types import PROJECT_MEL

        return Card(
            "synthesizer",
            "tempo",
            name,
            config=asdict(self.config),
            mel_format=PROJECT_MEL,
            space="ge2e-256",
            symbols=ALPHABET.name,
            languages=("en",),
            trained_on=TRAINED_ON,
            steps=self.steps,
            licence="CC BY 4.0",
            metrics={"validation": {k: round(v, 4) for k, v in losses.items()}, **(metrics or {})},
            extra={
                "rank": 1,
                "constants": asdict(self.constants),
                "speech_level": SPEECH_LEVEL,
                "statistics": {k: round(v, 4) for k, v in self.statistics.items()},
                "recipe": f"{self.seconds / 60:.0f} minutes on {self.device.type}, critic {self.critic_steps} steps",
            },
        )


@torch.no_grad()
def validate(trainer: Trainer, pieces: Pieces, indices: list[int]) -> dict[str, float]:
    """Mean losses of the averaged weights on held-back texts, each spoken with the voice of another utterance."""
    model = Tempo(trainer.config).to(trainer.device).eval()
    model.load_state_dict(trainer.average)
    sums: dict[str, float] = {}
    groups = [indices[k : k + 8] for k in range(0, len(indices), 8)]
    for group in groups:
        batch = pieces.batch(group, random.Random(1), own=0.0).to(trainer.device)
        for name, loss in voice_losses(model, batch, trainer.autocast)[0].items():
            sums[name] = sums.get(name, 0.0) + float(loss) / len(groups)
    return sums


@torch.no_grad()
def draw(trainer: Trainer, pieces: Pieces, index: int, path: Path) -> None:
    """A PNG of one held-back piece: real, made with the real durations and pitch, made freely; lines: edges."""
    model = Tempo(trainer.config).to(trainer.device).eval()
    model.load_state_dict(trainer.average)
    batch = pieces.batch([index], random.Random(1), own=0.0).to(trainer.device)
    mask = torch.ones_like(batch.ids[..., :1], dtype=torch.float32)
    condition = model.condition(batch.voices, batch.kinds)
    states = model.encode(batch.ids, condition, mask)
    guess = model.prosody(states, condition, mask)
    told = (guess[..., 0].exp() * trainer.statistics["phone_scale"]).round().clamp(1).long() * (batch.frames > 0)
    free = torch.cat([guess[..., 1:4], guess[..., 4:5].sigmoid(), guess[..., 5:]], -1)
    mels, edges = [batch.mel[0, : int(batch.length[0])].cpu().numpy()], [batch.frames[0].cumsum(0).cpu().numpy()]
    for prosody, frames in ((batch.prosody, batch.frames), (free, told)):
        length = int(frames.sum())
        mel = model.decode(states, prosody, frames, condition, -(-length // 2) * 2)[0, :length]
        mels.append(mel.float().cpu().numpy())
        edges.append(frames[0].cumsum(0).cpu().numpy())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, mel_picture(mels, edges))


def synthetic_pieces() -> Pieces:
    """Nonsense in the shape of features: a few pieces for a test of two steps, no files needed."""
    generator = np.random.default_rng(0)
    pieces = Pieces.__new__(Pieces)
    pieces.constants = Constants((-5.0,) * 80, (2.0,) * 80, 5.0, 0.3, -5.0, 1.0)
    pieces.mean, pieces.std = np.full(80, -5, np.float32), np.full(80, 2, np.float32)
    voice = generator.random(256).astype(np.float32)
    pieces.second = {}
    pieces.voices = {f"u{k}": (voice / np.linalg.norm(voice))[None] for k in range(8)}
    pieces.rows = []
    for k in range(8):
        frames = generator.integers(4, 9, 20).astype(np.int16)
        ids = generator.integers(2, 60, (20, 4)).astype(np.int16)
        ids[:, 3] = 0
        ids[5, 0], frames[5], ids[9, 0] = PAUSE_IDS[0], 0, PAUSE_IDS[1]
        pieces.rows.append(
            {
                "utt_id": f"u{k}",
                "speaker": "s",
                "split": "train" if k < 6 else "val_seen",
                "kind": 0,
                "length": int(frames.sum()),
                "ids": ids,
                "frames": frames,
                "f0": generator.normal(5, 0.3, (20, 3)).astype(np.float32),
                "voiced": generator.random(20).astype(np.float32),
                "level": generator.normal(-5, 1, 20).astype(np.float32),
                "mel": generator.normal(-5, 2, (int(frames.sum()), 80)).astype(np.float16),
            }
        )
    pieces.by_speaker = {"s": [f"u{k}" for k in range(6)]}
    return pieces


def main(argv: list[str] | None = None) -> int:
    """Command line of the trainer; exit code."""
    parser = argparse.ArgumentParser(prog="cli.train synthesizer", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=90, help="training time in all, earlier runs counted in")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: torch's choice)")
    parser.add_argument("--resume", action="store_true", help="go on from runs/synthesizer/<name>.pt")
    parser.add_argument("--name", default="tempo")
    parser.add_argument("--frames", type=int, default=1600, help="frames in a batch")
    parser.add_argument(
        "--parts", nargs="+", default=["clean", "lossy", "accented", "shifted"], help="prepared parts to learn from"
    )
    parser.add_argument(
        "--no-prepare", action="store_true", help="learn from what is prepared, and from more as it appears"
    )
    parser.add_argument("--publish-minutes", type=float, default=8, help="how often weights are published")
    parser.add_argument("--picture-steps", type=int, default=500, help="how often a picture is drawn")
    parser.add_argument("--output", type=Path, default=PRETRAINED, help="folder to publish to")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--smoke", action="store_true", help="two steps of a tiny network on synthetic data")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device("cuda" if args.device != "cpu" and torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    resume_path = args.runs / f"{args.name}.pt"
    state = load_resume(resume_path) if args.resume else None
    constants = (
        Constants(**{k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in state["constants"].items()})
        if state
        else None
    )
    small = {}
    if args.smoke:
        pieces = synthetic_pieces()
        small = {
            "d_text": 16,
            "d_prosody": 16,
            "d_pause": 16,
            "d_frame": 24,
            "d_condition": 8,
            "text_blocks": 1,
            "frame_blocks": 1,
        }
        args.frames, args.publish_minutes, args.picture_steps = 400, 0, 2
    else:
        if not args.no_prepare:
            from core.training.prepare import embed_all, prepare

            prepare(CACHE, args.parts)
            if not any(CACHE.glob("*_embeddings*.npz")):
                embed_all(CACHE / "student_embeddings.npz", args.parts)
            elif not any(CACHE.glob("*_voices.npz")) and registry.available()[0]["encoder"]:
                embed_all(CACHE / "student_voices.npz", args.parts, each=8)
        pieces = Pieces(CACHE, args.parts, constants)
    constants = pieces.constants
    config = (
        TempoConfig(**state["config"])
        if state
        else TempoConfig(ALPHABET.size, f0_mean=constants.f0_mean, f0_std=constants.f0_std, **small)
    )
    trainer = Trainer(config, constants, device, args.minutes * 60)
    if state:
        trainer.restore(state)
    held_back = pieces.indices("val_seen", (0,))[::2][:64]
    size = sum(p.numel() for p in trainer.model.parameters())
    print(f"{pieces.describe()}, {size} weights, {device}")
    _loop(trainer, pieces, held_back, args, resume_path)
    return 0


def _loop(trainer: Trainer, pieces: Pieces, held_back: list[int], args: argparse.Namespace, resume_path: Path) -> None:
    rng = random.Random(trainer.steps)
    weights = KIND_WEIGHTS if trainer.share < CRITIC_FROM else LATE_KIND_WEIGHTS
    batches = pieces.endless(rng, args.frames, SPEAKER_MINUTES, weights)
    sums: dict[str, float] = {}
    published = trainer.seconds
    since, last = 0, time.monotonic()
    looked, smoke_steps = time.monotonic(), 2
    while trainer.share < 1:
        if weights is KIND_WEIGHTS and trainer.share >= CRITIC_FROM:
            weights = LATE_KIND_WEIGHTS
            batches = pieces.endless(rng, args.frames, SPEAKER_MINUTES, weights)
        if args.no_prepare and time.monotonic() - looked > 60:
            looked = time.monotonic()
            if pieces.refresh():
                print(f"now {pieces.describe()}", flush=True)
                batches = pieces.endless(rng, args.frames, SPEAKER_MINUTES, weights)
        begun = time.monotonic()
        losses = trainer.step(pieces.batch(next(batches), rng, multiple=trainer.config.reduction))
        trainer.seconds += time.monotonic() - begun
        since += 1
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value
        if trainer.steps % 25 == 0:
            now = time.monotonic()
            text = " ".join(
                f"{name} {value / since:.3f}" if name != "rate" else f"rate {value / since:.1e}"
                for name, value in sums.items()
            )
            print(
                f"step {trainer.steps} min {trainer.seconds / 60:.1f} {text} s/step {(now - last) / since:.2f}",
                flush=True,
            )
            sums, since, last = {}, 0, now
        if args.smoke:
            trainer.seconds = trainer.total * (0.8 if trainer.steps < smoke_steps else 1)  # one step of each phase
        if trainer.steps % args.picture_steps == 0 and held_back:
            draw(trainer, pieces, held_back[len(held_back) // 2], args.runs / f"{args.name}_{trainer.steps:06d}.png")
        if trainer.seconds - published >= args.publish_minutes * 60 or trainer.share >= 1:
            published = trainer.seconds
            found = validate(trainer, pieces, held_back)
            print(
                f"VALID step {trainer.steps} "
                + " ".join(f"{k} {v:.3f}" for k, v in found.items())
                + f" {trainer.statistics}",
                flush=True,
            )
            path = publish(trainer.card(args.name, found), trainer.average, args.output)
            save_resume(resume_path, trainer.state())
            print(f"published {path.name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
