"""python -m cli.evaluate encoder: how well the published encoder tells unseen speakers apart, and how robustly.

Ten speakers that no model of ours has heard. The equal error rate is given three times: of an utterance against voices
made of five others (as the toolbox makes them), against those of nine others (ten utterances a speaker, each left out
in turn, the mean of a hundred draws), and of an utterance against another (the hardest). Short utterances decide all,
so they are given by length; the headline is for 3 s and more. The published encoder goes through the same mill where
its weights are installed. Results: docs/evaluation/encoder.json and .png, and the model's card.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.errors import VoiceError
from core.evaluation import conditions
from core.evaluation.verification import (
    enrolled_similarities,
    equal_error_rate,
    leave_one_out_error,
    pair_similarities,
)
from core.inference.registry import PRETRAINED, Card, find, load, read_card
from core.training.data import CACHE, REPOSITORY, SAMPLE_RATE, SpeechCache
from core.types import Waveform

DOCS = REPOSITORY / "docs" / "evaluation"
LENGTHS = (0, 2, 3, 4, 5, 7)
"""Utterances from this many seconds up."""
HEADLINE = 3
CROPS = (1, 2, 5, 10)


def teacher_encoder(weights: Path | None = None):
    """The published encoder behind our own class, or None where its weights are not installed."""
    import torch

    from core.inference.encoder import GE2EEncoder
    from core.models.ge2e import network_state
    from core.training.teacher import published_weights

    try:
        path = published_weights(weights)
    except VoiceError:
        return None
    state = network_state(torch.load(path, map_location="cpu", weights_only=True))
    return GE2EEncoder(Card("encoder", "ge2e", "published", space="ge2e-256"), state)


def unseen(speech: SpeechCache, per_speaker: int, shortest: float = 0.0, seed: int = 0) -> list[int]:
    """Utterances of the unseen speakers, per_speaker of each (all if 0), drawn by seed."""
    rng, chosen = np.random.default_rng(seed), []
    rows = speech.rows
    for speaker in sorted({row.speaker for row in rows if row.split == "val_unseen"}):
        own = [i for i, row in enumerate(rows) if row.speaker == speaker and row.seconds >= shortest]
        chosen += rng.permutation(own)[: per_speaker or None].tolist()
    return chosen


def embed_all(encoder, waves: list[np.ndarray]) -> np.ndarray:
    """float32 (n, d); NaN where the encoder hears no speech."""
    vectors = []
    for samples in waves:
        try:
            vectors.append(encoder.embed(Waveform(np.clip(samples, -1, 1), SAMPLE_RATE))[0].vector)
        except VoiceError:
            vectors.append(None)
    width = next(len(v) for v in vectors if v is not None)
    return np.stack([np.full(width, np.nan, np.float32) if v is None else v for v in vectors])


def numbers(vectors: np.ndarray, speakers: np.ndarray, reference: np.ndarray | None = None) -> dict:
    """EERs, same and different similarity, utterances refused, and the mean cosine to reference vectors.

    eer: an utterance against voices of five others; eer_of_ten: against those of nine others, ten utterances a speaker,
    the mean of a hundred draws; eer_pairs: one utterance against one other.
    """
    heard = ~np.isnan(vectors[:, 0])
    same, different = pair_similarities(vectors[heard], speakers[heard])
    result = {
        "utterances": int(heard.sum()),
        "refused": int((~heard).sum()),
        "eer": equal_error_rate(*enrolled_similarities(vectors[heard], speakers[heard])),
        "eer_of_ten": leave_one_out_error(vectors[heard], speakers[heard]),
        "eer_pairs": equal_error_rate(same, different),
        "same": float(same.mean()),
        "different": float(different.mean()),
    }
    if reference is not None:
        both = heard & ~np.isnan(reference[:, 0])
        result["cosine_to_teacher"] = float((vectors[both] * reference[both]).sum(axis=1).mean())
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}


def treated(speech: SpeechCache, chosen: list[int]) -> dict[str, list[np.ndarray]]:
    """The chosen utterances under each condition of the table."""
    rng = np.random.default_rng(0)
    clean = [speech.samples(i) for i in chosen]
    others = [i for i, row in enumerate(speech.rows) if row.split == "val_seen" and row.seconds > 3]

    def crowd(n_samples: int) -> np.ndarray:
        return conditions.babble(n_samples, [speech.samples(i) for i in rng.choice(others, 5, replace=False)])

    def noisy(slope: float, ratio: float) -> list[np.ndarray]:
        return [conditions.add_noise(x, conditions.coloured_noise(len(x), slope, rng), ratio) for x in clean]

    return {
        "clean": clean,
        "white noise 20 dB": noisy(0, 20),
        "white noise 10 dB": noisy(0, 10),
        "pink noise 20 dB": noisy(0.5, 20),
        "pink noise 10 dB": noisy(0.5, 10),
        "babble 10 dB": [conditions.add_noise(x, crowd(len(x)), 10) for x in clean],
        "telephone band": [conditions.telephone(x) for x in clean],
        "muffled": (muffled := [conditions.muffled(x) for x in clean]),
        "every fifth muffled": [muffled[i] if i % 5 == 0 else x for i, x in enumerate(clean)],
        "mp3 32 kbit/s": [conditions.mp3(x) for x in clean],
        "12 dB quieter": [x * 0.25 for x in clean],
    }


def crops(speech: SpeechCache, seconds: float, per_speaker: int) -> tuple[list[np.ndarray], list[int]]:
    """`seconds` of speech (pauses cut) of each of some utterances that have as much, and which they are.

    Where no utterance of a speaker lasts so long, several are joined.
    """
    from core.training.teacher import speech_of

    waves, chosen = [], []
    rng = np.random.default_rng(1)
    for speaker in sorted({row.speaker for row in speech.rows if row.split == "val_unseen"}):
        own = rng.permutation([i for i, row in enumerate(speech.rows) if row.speaker == speaker]).tolist()
        rest = np.zeros(0, np.float32)
        taken = 0
        while own and taken < per_speaker:
            i = own.pop()
            rest = np.concatenate([rest, speech_of(speech.samples(i))])
            if len(rest) >= seconds * SAMPLE_RATE:
                waves.append(rest[: int(seconds * SAMPLE_RATE)])
                chosen.append(i)
                rest, taken = np.zeros(0, np.float32), taken + 1
    return waves, chosen


def timings(card: Card, encoder, speech: SpeechCache, threads: int) -> dict:
    """Seconds to load the weights and to embed 5 s of sound, the best of several, on that many threads.

    Beside the clock's seconds those of the processor on one thread, which a busy machine does not stretch.
    """
    import torch

    i = next(i for i, row in enumerate(speech.rows) if row.split == "val_unseen" and row.seconds > 5)
    five = Waveform(speech.samples(i)[: 5 * SAMPLE_RATE], SAMPLE_RATE)
    result = {"threads": threads, "load_average": round(os.getloadavg()[0], 1)}
    for clock, suffix, count in ((time.perf_counter, "s", threads), (time.process_time, "processor_s", 1)):
        torch.set_num_threads(count)
        result[f"load_{suffix}"] = round(min(_timed(lambda: load(card), clock) for _ in range(3)), 4)
        result[f"embed_5s_{suffix}"] = round(min(_timed(lambda: encoder.embed(five), clock) for _ in range(12)), 4)
    return {**result, "file_mb": round(card.path.stat().st_size / 1e6, 3)}


def _timed(work, clock) -> float:
    began = clock()
    work()
    return clock() - began


class Mill:
    """Embeds the same sounds with ours and, where its weights are installed, with the teacher.

    The teacher never changes and is slow, so what it says is kept in the cache, under the name of each set of sounds.
    """

    def __init__(self, encoder, teacher, store: Path):
        self.encoder, self.teacher, self.store = encoder, teacher, store
        self.kept = {}
        if store.exists():
            with np.load(store) as stored:
                self.kept = dict(stored)

    def __call__(self, label: str, waves: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Who -> vectors (n, d), NaN for what was refused."""
        found = {"ours": embed_all(self.encoder, waves)}
        if self.teacher is not None:
            if len(self.kept.get(label, ())) != len(waves):
                self.kept[label] = embed_all(self.teacher, waves)
                self.store.parent.mkdir(parents=True, exist_ok=True)
                np.savez(self.store, **self.kept)
            found["teacher"] = self.kept[label]
        return found


def evaluate(name: str | None, folder: Path, per_speaker: int, weights: Path | None) -> tuple[dict, dict]:
    """The whole report as plain values, and for each model its (same, different) similarities of the headline."""
    speech = SpeechCache()
    card = find("encoder", name, folder)
    ours = load(card)
    teacher = teacher_encoder(weights) if card.space == "ge2e-256" else None
    mill = Mill(ours, teacher, CACHE / "encoder" / f"teacher_evaluation-{per_speaker}.npz")
    report = {
        "model": card.name,
        "steps": card.steps,
        "by_length": {},
        "conditions": {},
        "crops": {},
    }
    histograms = {}

    def note(section: str, label: str, found: dict, speakers: np.ndarray, reference: np.ndarray | None) -> None:
        report[section][label] = {who: numbers(v, speakers, reference) for who, v in found.items()}
        print(label, report[section][label], flush=True)

    everything = unseen(speech, 0)
    seconds = np.array([speech.rows[i].seconds for i in everything])
    speakers = np.array([speech.rows[i].speaker for i in everything])
    vectors = mill("all", [speech.samples(i) for i in everything])
    for shortest in LENGTHS:
        long = seconds >= shortest
        found = {who: v[long] for who, v in vectors.items()}
        label = f"{shortest} s and more" if shortest else "all"
        note("by_length", label, found, speakers[long], found.get("teacher"))
        if shortest == HEADLINE:
            histograms = {who: pair_similarities(v, speakers[long]) for who, v in found.items()}
    chosen = unseen(speech, per_speaker, HEADLINE)
    speakers = np.array([speech.rows[i].speaker for i in chosen])
    clean = None
    for label, waves in treated(speech, chosen).items():
        found = mill(label, waves)
        clean = found.get("teacher") if clean is None else clean  # what the teacher makes of the clean sound
        note("conditions", label, found, speakers, clean)
    for length in CROPS:
        waves, chosen = crops(speech, length, per_speaker)
        found = mill(f"{length} s", waves)
        speakers = np.array([speech.rows[i].speaker for i in chosen])
        note("crops", f"{length} s of speech", found, speakers, found.get("teacher"))
    return report, histograms


def write_card(path: Path, report: dict) -> None:
    """Puts the measured numbers into the model's card; its tensors stay as they are."""
    from dataclasses import replace

    from core.training.checkpoint import rewrite_card

    card = read_card(path)
    headline = report["by_length"][f"{HEADLINE} s and more"]["ours"]
    metrics = {
        "eer": headline["eer"],
        "eer_of_ten": headline["eer_of_ten"],
        "eer_pairs": headline["eer_pairs"],
        "same": headline["same"],
        "different": headline["different"],
        "eer_all_lengths": report["by_length"]["all"]["ours"]["eer"],
        "eer_pink_noise_10db": report["conditions"]["pink noise 10 dB"]["ours"]["eer"],
        "eer_telephone": report["conditions"]["telephone band"]["ours"]["eer"],
        "measured_on": "val_unseen, 10 speakers, utterances of 3 s and more; python -m cli.evaluate encoder",
    }
    if "cosine_to_teacher" in headline:
        metrics["cosine_to_teacher"] = headline["cosine_to_teacher"]
    rewrite_card(replace(card, metrics=metrics))


def main(argv: list[str] | None = None, draw: Callable | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cli.evaluate encoder", description=__doc__.split("\n\n")[0])
    parser.add_argument("--name", help="of the encoder (default: the best there is)")
    parser.add_argument("--folder", type=Path, default=PRETRAINED)
    parser.add_argument(
        "--per-speaker", type=int, default=30, help="utterances of each speaker in the robustness table"
    )
    parser.add_argument("--weights", type=Path, help="the published encoder's file")
    parser.add_argument("--output", type=Path, default=DOCS)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    args = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)  # two threads that wait for each other are slow on a busy machine; only timings need them
    report, histograms = evaluate(args.name, args.folder, args.per_speaker, args.weights)
    card = find("encoder", args.name, args.folder)
    report["timings"] = timings(card, load(card), SpeechCache(), args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "encoder.json").write_text(json.dumps(report, indent=1) + "\n")
    if draw is not None:
        draw(args.output / "encoder.png", histograms, report)
    write_card(card.path, report)
    print(json.dumps(report["timings"]))
    return 0
