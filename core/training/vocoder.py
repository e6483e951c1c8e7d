"""python -m cli.train vocoder: from recorded speech to pretrained/vocoder/vocos.safetensors.

Three stages in one run of --minutes: the pitch reader learns from tracked pitch; the filters learn from spectral
losses; from --adversarial on, light discriminators of spectrograms join in. Stopped at any time, --resume goes on
where it was.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from core.inference import registry
from core.inference.registry import PRETRAINED
from core.models.vocos import Config
from core.training.checkpoint import load_resume, save_resume
from core.training.crops import Crops
from core.training.data import REPOSITORY, SAMPLE_RATE, SpeechCache
from core.training.pitch import pitch_labels
from core.training.vocoder_pairs import published_pairs
from core.training.vocos import Trainer
from core.types import PROJECT_MEL

LOSSY = "librispeech_dev-clean_mp3"


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m cli.train vocoder", description=__doc__)
    add = parser.add_argument
    add(
        "--minutes",
        type=float,
        default=480,
        help="training time in all, over all resumed runs; the learning rate ends at zero",
    )
    add("--pitch-minutes", type=float, default=5, help="of these, for the pitch reader")
    add(
        "--adversarial",
        type=float,
        default=0.5,
        help="share of the time after which the discriminators join in; 1: never",
    )
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--threads", type=int, default=0, help="threads of torch; 0: its own choice")
    add("--batch", type=int, default=8)
    add("--frames", type=int, default=65, help="frames of a crop")
    add("--channels", type=int, default=Config.channels)
    add(
        "--corrections",
        type=int,
        default=1,
        help="corrections of the spectrum while training; the published model makes 4",
    )
    add("--rate", type=float, default=1e-3, help="peak learning rate")
    add("--pairs-minutes", type=float, default=50, help="sound with mels made by the published synthesizer; 0: none")
    add("--resume", action="store_true", help="go on from the resume file")
    add("--from-published", action="store_true", help="begin with the published weights, not with random ones")
    add("--runs", type=Path, default=REPOSITORY / "runs" / "vocoder", help="resume file, pictures, samples")
    add("--publish", type=Path, default=PRETRAINED, help="folder of published models")
    add(
        "--publish-minutes", type=float, default=10, help="between resume files, and from the filters' stage on weights"
    )
    add("--show-steps", type=int, default=1000, help="steps between validations with picture and sample")
    add("--seed", type=int, default=0)
    add("--smoke", action="store_true", help="two steps of each stage on synthetic sound, with a tiny network")
    return parser.parse_args(argv)


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def validation_sounds(cache: SpeechCache, n: int = 12, samples: int = 32000) -> np.ndarray:
    """Two seconds from the middle of n utterances of val_seen, (n, samples)."""
    rows = [i for i, r in enumerate(cache.rows) if r.split == "val_seen" and r.set != LOSSY and r.seconds > 3]
    chosen = rows[:: max(1, len(rows) // n)][:n]
    middles = [cache.samples(i)[int(cache.rows[i].seconds * 8000) - samples // 2 :][:samples] for i in chosen]
    return np.stack(middles)


class SyntheticCache:
    """A stand-in for SpeechCache: buzzes of gliding pitch, for the smoke run."""

    def __init__(self):
        from core.training.data import Row

        self.rows, sounds = [], []
        for k, split in enumerate(["train"] * 4 + ["val_seen"] * 2):
            f0 = np.linspace(100 + 20 * k, 150 + 20 * k, 4 * SAMPLE_RATE)
            sounds.append((0.1 * np.sign(np.sin(2 * np.pi * np.cumsum(f0) / SAMPLE_RATE))).astype(np.float32))
            self.rows.append(Row(f"u{k}", "synthetic", "", f"s{k}", "", "", split, 4.0, ""))
        self._sounds, self.offsets = sounds, np.arange(len(sounds) + 1) * 4 * SAMPLE_RATE

    def samples(self, i: int) -> np.ndarray:
        return self._sounds[i]


def keep_sample(folder: Path, step: int, real: np.ndarray, made: np.ndarray, draw: Callable | None) -> None:
    """Writes <step>.wav, the real sound then the made one, and by `draw` their spectrograms as <step>.png."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / f"{step:06d}.wav", np.concatenate([real, np.zeros(4000), made]), SAMPLE_RATE)
    if draw is not None:
        draw(folder / f"{step:06d}.png", real, made)


def main(argv: list[str], draw: Callable | None = None) -> int:
    args = arguments(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    name = args.device if args.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    config = (
        Config(channels=16, blocks=1, pitch_channels=16, pitch_blocks=1)
        if args.smoke
        else Config(channels=args.channels)
    )
    config = replace(config, corrections=args.corrections)
    trainer = Trainer(config, device, args.rate)
    resume_path = args.runs / "resume.pt"
    state = load_resume(resume_path) if args.resume else None
    if state is not None:
        trainer.load(state)
        say(f"resumed after {trainer.seconds / 60:.1f} minutes, steps {trainer.steps}")
    elif args.from_published:
        card = registry.find("vocoder", "vocos", args.publish)
        trainer.begin_with(card, registry.read_tensors(card))
        say(f"begins with {card.path}, {card.steps} steps")
    cache = SyntheticCache() if args.smoke else SpeechCache()
    rows = [i for i, r in enumerate(cache.rows) if r.split == "train" and r.set != LOSSY]
    seed = args.seed + 1000 * sum(trainer.steps.values())
    samples = (args.frames - 1) * config.hop_length
    crops = Crops(cache, rows, samples, seed)
    validation = torch.tensor(validation_sounds(cache, 2 if args.smoke else 12), device=device)
    end, pitch_end = args.minutes * 60, args.pitch_minutes * 60
    last = last_saved = time.monotonic()
    sums: dict[str, list[float]] = {}

    def running(stage: str, until: float) -> bool:
        return trainer.steps[stage] < 2 if args.smoke else trainer.seconds < until

    def account(stage: str, losses: dict[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        trainer.seconds += min(now - last, 5.0)  # a paused machine is not training time
        last = now
        for key, value in losses.items():
            sums.setdefault(key, []).append(value)
        if trainer.steps[stage] % 100 == 0 or args.smoke:
            text = " ".join(f"{key} {np.mean(values):.4f}" for key, values in sums.items())
            say(f"{stage} {trainer.steps[stage]} at {trainer.seconds / 60:.1f} min: {text}")
            sums.clear()

    def save_if_due() -> bool:
        nonlocal last_saved
        if time.monotonic() - last_saved <= args.publish_minutes * 60:
            return False
        last_saved = time.monotonic()
        save_resume(resume_path, trainer.state())
        return True

    if running("pitch", pitch_end):
        if args.smoke:
            labels = {i: np.full(321, 120 + 20 * i, np.float32) for i in rows}
        else:
            labels = pitch_labels(cache, rows, say=say)
        pitched = Crops(cache, rows, samples, seed, labels, strangers=0.7)
        last = time.monotonic()
        while running("pitch", pitch_end):
            sound, f0 = (torch.tensor(a, device=device) for a in pitched.batch(2 * args.batch))
            account("pitch", trainer.pitch_step(sound, f0, trainer.seconds / max(pitch_end, 1e-9)))
            save_if_due()
        if not args.smoke:
            save_resume(resume_path, trainer.state())
    pairs = None
    if args.pairs_minutes and not args.smoke and running("model", end):
        pairs = published_pairs(cache, args.pairs_minutes, seed, say=say)
    metrics = {}
    no_mels = np.zeros((0, PROJECT_MEL.n_mels, args.frames), np.float32)
    last = time.monotonic()
    while running("model", end):
        share = (trainer.seconds - pitch_end) / max(end - pitch_end, 1e-9)
        adversarial = args.smoke or share >= args.adversarial
        adversary_share = (share - args.adversarial) / max(1 - args.adversarial, 1e-9)
        made_share = args.batch // 3 if pairs else 0
        sound, seen, meant = crops.batch(args.batch - made_share)[0], no_mels, no_mels[:, 0]
        if pairs:
            more, seen, meant = pairs.batch(made_share, args.frames)
            sound = np.concatenate([sound, more])
        sound, seen, meant = (torch.tensor(a, device=device) for a in (sound, seen, meant))
        account("model", trainer.model_step(sound, seen, meant, share, adversarial, adversary_share))
        if trainer.steps["model"] % args.show_steps == 0:
            metrics, made = trainer.validate(validation)
            say("validation: " + " ".join(f"{k} {v:.4f}" for k, v in metrics.items()))
            pick = trainer.steps["model"] // args.show_steps % len(made)
            sounds = validation[pick].cpu().numpy(), made[pick].cpu().numpy()
            keep_sample(args.runs / "samples", trainer.steps["model"], *sounds, draw)
        if save_if_due():
            trainer.publish(args.publish, {f"val_seen_{k}": round(v, 4) for k, v in metrics.items()})
    metrics, made = trainer.validate(validation)
    sounds = validation[0].cpu().numpy(), made[0].cpu().numpy()
    keep_sample(args.runs / "samples", trainer.steps["model"], *sounds, draw)
    save_resume(resume_path, trainer.state())
    path = trainer.publish(args.publish, {f"val_seen_{k}": round(v, 4) for k, v in metrics.items()})
    say(f"published {path}: " + " ".join(f"{k} {v:.4f}" for k, v in metrics.items()))
    return 0
