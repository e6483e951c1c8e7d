"""python -m cli.train synthesizer: trains Tempo (`core.models.tempo`) from recorded speech and publishes its weights.

First regression alone; then, for the last third, a critic sharpens the mel. Learning rate and phases follow the time
spent (`--minutes`), not the steps, so a slow machine runs the whole recipe too. Stops and resumes at any point.
"""

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch

from core.inference import registry
from core.inference.ear import Ear, ear_card
from core.inference.registry import PRETRAINED
from core.models.tempo import Tempo, TempoConfig, as_spoken
from core.training.checkpoint import load_resume, publish, save_resume
from core.training.data import CACHE, REPOSITORY
from core.training.people import People, known_people
from core.training.picture import mel_picture, write_png
from core.training.pieces import ALPHABET, PAUSE_IDS, Constants, Pieces
from core.training.prepare import PARTS
from core.training.tempo import CRITIC_FROM, RATE, Trainer, voice_losses

RUNS = REPOSITORY / "runs" / "synthesizer"
KIND_WEIGHTS = {0: 1.0, 1: 0.7, 2: 0.4, 3: 1.0}
LATE_KIND_WEIGHTS = {0: 1.0, 1: 0.4, 2: 0.2, 3: 0.4}
SPEAKER_MINUTES = 18.0


@torch.no_grad()
def validate(trainer: Trainer, pieces: Pieces, indices: list[int]) -> dict[str, float]:
    """Mean losses of the averaged weights on held-back texts, each spoken with the voice of another utterance."""
    model = Tempo(trainer.config).to(trainer.device).eval()
    model.load_state_dict(trainer.average)
    sums: dict[str, float] = {}
    groups = [indices[k : k + 8] for k in range(0, len(indices), 8)]
    for group in groups:
        batch = pieces.batch(group, random.Random(1), own=0.0).to(trainer.device)
        for name, loss in voice_losses(model, batch)[0].items():
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
    mels, edges = [batch.mel[0, : int(batch.length[0])].cpu().numpy()], [batch.frames[0].cumsum(0).cpu().numpy()]
    for prosody, frames in ((batch.prosody, batch.frames), (as_spoken(guess), told)):
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
    pieces.second, pieces._read, pieces.parts = {}, {}, []
    pieces.voices = {f"u{k}": (voice / np.linalg.norm(voice))[None] for k in range(8)}
    pieces.rows = []
    for k in range(8):
        frames = generator.integers(7, 12, 20).astype(np.int16)
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
    parser.add_argument(
        "--from-published", action="store_true", help="begin with the published weights, not with random ones"
    )
    parser.add_argument("--rate", type=float, default=RATE, help="peak learning rate")
    parser.add_argument(
        "--critic-from", type=float, default=CRITIC_FROM, help="the share of the time before the critic"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the order of the pieces; runs that differ in it can be blended"
    )
    parser.add_argument("--no-ear", action="store_true", help="without our encoder's opinion of the voices made")
    parser.add_argument("--name", default="tempo")
    parser.add_argument("--frames", type=int, default=1600, help="frames in a batch")
    parser.add_argument(
        "--parts",
        nargs="+",
        default=list(PARTS),
        help="prepared parts to learn from",
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
    torch.manual_seed(args.seed)
    resume_path = args.runs / f"{args.name}.pt"
    state = load_resume(resume_path) if args.resume else None
    published = registry.find("synthesizer", args.name, args.output) if args.from_published and not state else None
    begun = state or (published and {"constants": published.extra["constants"], "config": published.config})
    constants = (
        Constants(**{k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in begun["constants"].items()})
        if begun
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
        TempoConfig(**begun["config"])
        if begun
        else TempoConfig(ALPHABET.size, f0_mean=constants.f0_mean, f0_std=constants.f0_std, **small)
    )
    ear, people = (None, None) if args.smoke or args.no_ear else _ear_and_people(constants)
    trainer = Trainer(config, constants, device, args.minutes * 60, args.rate, ear, people, args.critic_from, args.seed)
    if state:
        trainer.restore(state)
    elif published:
        trainer.begin_with(published, registry.read_tensors(published))
        print(f"begins with {published.path.name}, {published.steps} steps")
    held_back = pieces.indices("val_seen", (0,))[::2][:64]
    size = sum(p.numel() for p in trainer.model.parameters())
    print(f"{pieces.describe()}, {size} weights, {device}")
    _loop(trainer, pieces, held_back, args, resume_path)
    return 0


def _ear_and_people(constants: Constants) -> tuple[Ear | None, People | None]:
    """The published encoder to listen with, and whom the teacher has heard; None where there is none."""
    card = ear_card(PRETRAINED, "ge2e-256")
    if card is None:
        print("There is no encoder of our own to listen with: training goes on without.", flush=True)
        return None, None
    ear, people = Ear(card, constants.mel_mean, constants.mel_std), known_people()
    print(f"listens with {card.name}, knows {len(people) if people else 0} further voices", flush=True)
    return ear, people


def _loop(trainer: Trainer, pieces: Pieces, held_back: list[int], args: argparse.Namespace, resume_path: Path) -> None:
    rng = random.Random(trainer.seed + trainer.steps)
    weights = KIND_WEIGHTS if trainer.share < trainer.critic_from else LATE_KIND_WEIGHTS
    batches = pieces.endless(rng, args.frames, SPEAKER_MINUTES, weights)
    sums: dict[str, float] = {}
    published = trainer.seconds
    since, last = 0, time.monotonic()
    looked, smoke_steps = time.monotonic(), 2
    while trainer.share < 1:
        if weights is KIND_WEIGHTS and trainer.share >= trainer.critic_from:
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
            path = publish(trainer.card(args.name, found, pieces.used), trainer.average, args.output)
            save_resume(resume_path, trainer.state())
            print(f"published {path.name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
