"""python -m cli.train encoder: teaches a small network to hear voices as the published encoder does.

By distillation (default): the teacher hears 3.2 s of speech at a time, each speaker a little faster or slower, half of
them made strangers (`core.training.strangers`), as other microphones in other rooms would record them, and is asked
after every frame (what it answers past 1.6 s is brought back into place, `core.training.listening`); the student hears
the same, half of it spoilt by echoes, noise and telephones, and must answer alike; with it go, unit by unit, what the
teacher's layers know (`core.training.layers`; with --alone and --apart MINUTES each layer learns that by itself first)
and a little of the GE2E loss on the speakers' names. With --speakers FOLDER (a folder per speaker) there is no teacher:
the GE2E loss alone makes a space of its own.
A resume file and a picture of the map are kept in runs/encoder/.
"""

import argparse
import signal
from dataclasses import asdict
from pathlib import Path
from threading import BrokenBarrierError

import numpy as np
import torch

from core.inference import registry
from core.inference.registry import PRETRAINED, Card
from core.models.ge2e import GE2E, GE2EConfig
from core.models.voiceprint import Voiceprint, VoiceprintConfig
from core.training.checkpoint import load_resume, publish, save_resume
from core.training.data import CACHE, REPOSITORY
from core.training.judging import judge
from core.training.sisters import Sisters, begin_sisters
from core.training.student import Settings, Trainer
from core.training.teacher import load_teacher
from core.training.teacher import main as hear_everything
from core.training.windows import Windows, distillation_windows, own_windows

RUNS = REPOSITORY / "runs" / "encoder"

CREDITS = (
    "LibriSpeech (CC BY 4.0), VCTK (CC BY 4.0), speechocean762 (CC BY 4.0), Kathleen (CC0), Common Voice 6.1 (CC0), "
    "LJ Speech (public domain); taught by Resemblyzer's GE2E encoder (Apache-2.0)"
)


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


def publish_student(
    trainer: Trainer, network: Voiceprint | GE2E, name: str, numbers: dict[str, float], folder: Path
) -> Path:
    """Writes pretrained/encoder/<name>.safetensors. network: what `Trainer.published` gave."""
    distilled = trainer.teacher is not None
    rank = 10 if distilled else 1
    card = Card(
        role="encoder",
        architecture=trainer.architecture,
        name=name,
        config=asdict(trainer.network.config),
        space="ge2e-256" if distilled else name,
        trained_on=CREDITS if distilled else "speakers of one's own",
        steps=trainer.earlier["steps"] + trainer.steps,
        metrics={f"training_{key}": round(value, 4) for key, value in numbers.items()},
        licence="GPL-3.0-or-later",
        extra={
            "rank": rank,
            "minutes": round(trainer.earlier["minutes"] + trainer.seconds / 60, 1),
        },
    )
    return publish(card, network.state_dict(), folder)


def train(
    trainer: Trainer, judged: Windows, name: str, folder: Path, runs: Path, max_steps: int | None = None
) -> dict[str, float]:
    """Trains for the minutes set (or max_steps), saving and publishing as it goes. Returns the last judgement."""
    settings = trainer.settings
    runs.mkdir(parents=True, exist_ok=True)
    means: dict[str, float] = {}
    last_published = trainer.seconds

    def judge_and_save() -> dict[str, float]:
        network = trainer.published()
        numbers, vectors, speakers = judge(network, judged)
        print("  judged: " + "  ".join(f"{key} {value:.4f}" for key, value in numbers.items()), flush=True)
        draw_map(runs / f"{trainer.architecture}-map.png", vectors, speakers)
        save_resume(runs / f"{trainer.architecture}.pt", trainer.state())
        print(f"  published {publish_student(trainer, network, name, numbers, folder)}", flush=True)
        return numbers

    try:
        while trainer.seconds < 60 * settings.minutes and (max_steps is None or trainer.steps < max_steps):
            before = trainer.steps
            losses = trainer.step()
            means = {key: 0.95 * means.get(key, value) + 0.05 * value for key, value in losses.items()}
            if trainer.steps // 60 > before // 60:
                rate = trainer.steps * settings.speakers * settings.per_speaker / trainer.seconds
                text = "  ".join(f"{key} {value:.4f}" for key, value in means.items())
                print(f"step {trainer.steps}  {trainer.seconds / 60:.1f} min  {text}  {rate:.0f} windows/s", flush=True)
            if trainer.seconds - last_published > 60 * settings.publish_minutes:
                last_published = trainer.seconds
                judge_and_save()
    except (KeyboardInterrupt, BrokenBarrierError) as error:
        why = "stopped" if isinstance(error, KeyboardInterrupt) else "another process ended"
        print(f"{why}; what was learnt is kept", flush=True)
    if trainer.sisters is not None:
        trainer.sisters.end()
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


def new_student(kind: str, tiny: bool, hidden_size: int | None = None) -> Voiceprint | GE2E:
    """A network to teach. It always begins from random weights: a teacher gives targets, never its own weights.

    It begins inclined to remember (Jozefowicz et al. 2015: the forget gates' bias is raised by 1).
    """
    kind, config = (Voiceprint, VoiceprintConfig) if kind == "voiceprint" else (GE2E, GE2EConfig)
    size = hidden_size or (16 if tiny else config.hidden_size)
    network = kind(config(hidden_size=size, n_layers=2 if tiny else config.n_layers))
    with torch.no_grad():
        for number in range(network.config.n_layers):
            getattr(network.lstm, f"bias_ih_l{number}")[size : 2 * size] += 1
    return network


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cli.train encoder", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of training, earlier runs included")
    parser.add_argument("--alone", type=float, default=0.0, help="minutes of them in which each layer learns alone")
    parser.add_argument("--apart", type=float, default=0.0, help="minutes after those in which it reads the one below")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--processes", type=int, default=1, help="that learn from other batches and take their mean")
    parser.add_argument("--resume", action="store_true", help="go on from runs/encoder/<student>.pt")
    parser.add_argument("--from-published", action="store_true", help="begin with the published weights")
    parser.add_argument("--rate", type=float, default=Settings.learning_rate, help="peak learning rate")
    parser.add_argument("--from-scratch", action="store_true", help="GE2E loss alone, no teacher (a space of its own)")
    parser.add_argument("--speakers", type=Path, help="a folder with one folder per speaker; implies --from-scratch")
    parser.add_argument("--student", choices=("voiceprint", "ge2e"), default="voiceprint", help="the network to teach")
    parser.add_argument(
        "--hidden-size", type=int, help="units of each layer; more than the published weights have: they are built in"
    )
    parser.add_argument("--name", help="of the published file (default: the student's)")
    parser.add_argument("--publish-every", type=float, default=10.0, help="minutes of training")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument(
        "--output", type=Path, default=PRETRAINED, help="the folder that holds encoder/<name>.safetensors"
    )
    parser.add_argument("--seed", type=int, default=0, help="runs that differ in it can be blended")
    parser.add_argument("--smoke", action="store_true", help="four tiny steps on invented sound")
    args = parser.parse_args(argv)
    if args.speakers is None and not args.smoke and not any((CACHE / "encoder").glob("windows-*.npz")):
        print("first the teacher hears everything, once", flush=True)
        if hear_everything([]):
            return 1
    args.from_scratch |= args.speakers is not None
    # Another space must not pass for the shipped one.
    args.name = args.name or ("my-encoder" if args.from_scratch else args.student)
    trainer, judged = new_trainer(args)
    if args.processes > 1:
        trainer.sisters = begin_sisters(args.processes, trainer.size, learn_along, args)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill keeps what was learnt, as Ctrl-C does
    windows, groups = trainer.windows, trainer.batches.groups
    print(f"{len(windows)} windows of {len(groups)} speakers, {len(judged)} to judge by", flush=True)
    train(trainer, judged, args.name, args.output, args.runs, max_steps=trainer.steps + 4 if args.smoke else None)
    return 0


def learn_along(sisters: Sisters, args: argparse.Namespace) -> None:
    """A process beside the first one."""
    trainer, _ = new_trainer(args, place=sisters.place)
    trainer.sisters = sisters
    while True:  # the first one says when to end
        trainer.step()


def new_trainer(args: argparse.Namespace, place: int = 0) -> tuple[Trainer, Windows]:
    """The trainer that the arguments ask for, and the windows to judge by. place: of the process among sisters."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    taught = not args.from_scratch
    settings = Settings(
        args.minutes,
        args.alone,
        args.apart,
        learning_rate=args.rate,
        seed=args.seed + 1000 * place,
        publish_minutes=args.publish_every,
    )
    if taught:  # every frame has its own answer: more and smaller batches teach more in the same time
        settings.speakers = max(4, 12 // args.processes)
    if args.smoke:
        windows = judged = smoke_windows(args.seed)
        settings.speakers, settings.per_speaker = 4, 2
    elif args.speakers is not None:
        windows, judged = own_windows(args.speakers)
    else:
        windows, judged = distillation_windows()
    if not taught:
        windows.targets = windows.voices = judged.targets = judged.voices = None
    teacher = None
    if taught:
        teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2)) if args.smoke else load_teacher()
    trainer = Trainer(windows, settings, new_student(args.student, args.smoke, args.hidden_size), teacher, args.device)
    state = load_resume(args.runs / f"{args.student}.pt") if args.resume else None
    if state is not None:
        trainer.restore(state)
    elif args.from_published:
        card = registry.find("encoder", args.name, args.output)
        trainer.begin_with(card, registry.read_tensors(card))
    return trainer, judged
