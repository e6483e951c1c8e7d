"""python -m cli.train vocoder: from recorded speech to pretrained/vocoder/vocos.safetensors.

Three stages in one run of --minutes: the pitch reader learns from tracked pitch; the filters learn from spectral
losses; from --adversarial on, light discriminators of spectrograms join in. Stopped at any time, --resume goes on
where it was.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.audio.mel import mel_filters
from core.errors import ModelError
from core.inference import registry
from core.inference.registry import PRETRAINED, Card
from core.models.vocos import Config, Vocos
from core.training.checkpoint import load_resume, publish, save_resume
from core.training.crops import Crops
from core.training.data import REPOSITORY, SAMPLE_RATE, SpeechCache
from core.training.discriminator import SpectrogramDiscriminator, adversarial_losses, discriminator_loss
from core.training.pitch import pitch_labels
from core.training.spectral import MelLayer, SpectralLoss, blurred
from core.training.vocoder_pairs import published_pairs
from core.types import PROJECT_MEL

CORRECTIONS = 4  # each costs as much as the spectra of a step of Griffin-Lim; more still helps a little
LOSSY = "librispeech_dev-clean_mp3"
TRAINED_ON = (
    "LibriSpeech test-clean and parts of train-clean-100 (CC BY 4.0), VCTK p239 (CC BY 4.0), Kathleen (CC0), LJ Speech "
    "(public domain), speechocean762 (CC BY 4.0), Common Voice (CC0), without the ten unseen speakers."
)


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

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16)

    def pitch_step(self, sound: Tensor, seen: Tensor, f0: Tensor, share: float) -> dict[str, float]:
        """One step of the reader on the mels of sound (B, n), every third blurred, and on made mels (b, n_mels, T).

        f0: (B + b, T) in Hz, 0 where unvoiced: there the reader learns to say that any pitch would do.
        """
        mel = torch.cat([blurred(self.mel(sound), 1 / 3), seen])
        with self.autocast():
            scores = self.model.pitch(mel)
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

    def make(self, mel: Tensor, model: Vocos | None = None) -> tuple[Tensor, Tensor]:
        """Sound (B, (T - 1) * hop) from mel (B, n_mels, T), the source beginning anywhere in its cycle; and the logits
        (B, T, n_mels) of trust in the mel."""
        model = model or self.model
        B, _, T = mel.shape
        with torch.no_grad():
            f0 = model.read_pitch(mel)
            start = torch.rand(B, dtype=torch.float64, device=mel.device)
            noise = torch.randn(B, (T + 3) * model.config.hop_length, device=mel.device)
        with self.autocast():
            out = model.net(mel)
            return model.synthesize(mel, out, f0, start, noise), model.trust(out)

    def model_step(
        self, sound: Tensor, seen: Tensor, share: float, adversarial: bool, adversary_share: float
    ) -> dict[str, float]:
        """One step on sound (B, n): spectral losses, and the discriminators' when `adversarial`. seen: made mels
        (b, n_mels, T) of the last b sounds; of the others the real mel is shown, every third blurred."""
        mel = self.mel(sound)
        n_made = len(seen)
        seen, smooth = blurred(mel[: len(mel) - n_made], 1 / 3), seen
        genuine = torch.cat(
            [(seen == mel[: len(seen)]).flatten(1).all(1), torch.zeros(n_made, dtype=bool, device=mel.device)]
        )
        made, trust = self.make(torch.cat([seen, smooth]))
        losses = {}
        losses["trust"] = torch.nn.functional.binary_cross_entropy_with_logits(
            trust, genuine.float()[:, None, None].expand_as(trust)
        )
        losses["log"], losses["conv"] = self.spectral(made, sound)
        losses["mel"] = torch.nn.functional.l1_loss(self.mel(made), mel)
        loss = losses["log"] + 0.5 * losses["conv"] + losses["mel"] + 0.1 * losses["trust"]
        if adversarial:
            with self.autocast():
                judged = self.adversary(torch.cat([sound, made.detach()]))
            losses["adversary"] = discriminator_loss(judged)
            self._step("adversary", losses["adversary"], self.adversary.parameters(), adversary_share)
            self.adversary.requires_grad_(False)
            with self.autocast():
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
        made, _ = self.make(mel, self.averaged())
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

    pairs = None
    if args.pairs_minutes and not args.smoke:
        pairs = published_pairs(cache, args.pairs_minutes, seed, say=say)
    no_mels = np.zeros((0, PROJECT_MEL.n_mels, args.frames), np.float32)
    if running("pitch", pitch_end):
        if args.smoke:
            labels = {i: np.full(321, 120 + 20 * i, np.float32) for i in rows}
        else:
            labels = pitch_labels(cache, rows, say=say)
        pitched = Crops(cache, rows, samples, seed, labels, strangers=0.7)
        made_share = 2 * args.batch // 3 if pairs else 0
        last = time.monotonic()
        while running("pitch", pitch_end):
            sound, f0 = pitched.batch(2 * args.batch - made_share)
            seen = no_mels
            if pairs:
                _, seen, theirs = pairs.batch(made_share, args.frames)
                f0 = np.concatenate([f0, theirs])
            sound, seen, f0 = (torch.tensor(a, device=device) for a in (sound, seen, f0))
            account("pitch", trainer.pitch_step(sound, seen, f0, trainer.seconds / max(pitch_end, 1e-9)))
            save_if_due()
        if not args.smoke:
            save_resume(resume_path, trainer.state())
    metrics = {}
    last = time.monotonic()
    while running("model", end):
        share = (trainer.seconds - pitch_end) / max(end - pitch_end, 1e-9)
        adversarial = args.smoke or share >= args.adversarial
        adversary_share = (share - args.adversarial) / max(1 - args.adversarial, 1e-9)
        made_share = args.batch // 3 if pairs else 0
        sound, seen = crops.batch(args.batch - made_share)[0], no_mels
        if pairs:
            more, seen, _ = pairs.batch(made_share, args.frames)
            sound = np.concatenate([sound, more])
        sound, seen = torch.tensor(sound, device=device), torch.tensor(seen, device=device)
        account("model", trainer.model_step(sound, seen, share, adversarial, adversary_share))
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
