"""python -m cli.evaluate vocoder: copy synthesis of speakers never trained on, the neural vocoder beside Griffin-Lim.

Real speech becomes a mel, the vocoder makes it sound again, and judges compare the two. The error of the pitch is made
by a few stretches an octave off, so it is measured a second time on every utterance there is. A table goes to stdout,
all numbers to docs/evaluation/vocoder.json and the model's card, spectrogram pairs to vocoder.png beside it.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.audio.mel import magnitudes, mel_spectrogram
from core.evaluation.measures import dnsmos, pitch_errors, recognise, word_errors
from core.inference import registry
from core.training.checkpoint import rewrite_card
from core.training.data import REPOSITORY, SAMPLE_RATE, Row, SpeechCache
from core.types import PROJECT_MEL, MelFormat, Waveform

LOSSY = "librispeech_dev-clean_mp3"
FLOOR = "with noise -40 dB"  # the original with a hiss: what the judges find between recordings that sound alike
COLUMNS = (
    ("pesq", "PESQ-WB"), ("stoi", "STOI"), ("lsd", "LSD dB"), ("cents", "F0 cents"), ("cents_steady", "steady"),
    ("cents_median", "median"),
    ("gross", "gross"), ("voicing", "voicing"), ("dnsmos", "DNSMOS"), ("p808", "P.808"), ("wer", "WER"),
    ("rtf", "RTF"), ("cpu", "CPU s/s"), ("first_ms", "first ms"),
)  # fmt: skip

CARD = ("pesq", "stoi", "lsd", "cents", "cents_steady", "cents_median", "gross", "voicing", "dnsmos", "wer")
INTERVALS = ("pesq", "stoi", "cents", "cents_median", "gross", "voicing", "dnsmos")
PITCH = ("cents_steady", "cents", "cents_median", "gross", "voicing")


def log_spectral_distance(reference: np.ndarray, made: np.ndarray, floor: float = 1e-3) -> float:
    """Root mean square over frequencies of the difference in dB, averaged over frames (window 1024, hop 256).
    floor: magnitude below which both count as silent; a full-scale sine has 256."""
    format = MelFormat(n_fft=1024, win_length=1024, hop_length=256)
    n = min(len(reference), len(made))
    a, b = (20 * np.log10(np.maximum(magnitudes(x[:n], format), floor)) for x in (reference, made))
    return float(np.sqrt(np.mean((a - b) ** 2, axis=0)).mean())


def choose(cache: SpeechCache, limit: int, split: str) -> list[int]:
    """`limit` utterances of 3 to 12 s, spread evenly over the split's speakers and their texts."""
    by_speaker: dict[str, list[int]] = {}
    for i, row in enumerate(cache.rows):
        if (
            row.split == split
            and 3 <= row.seconds <= 12
            and row.language.startswith("en")
            and row.text
            and (split == "val_unseen" or row.set != LOSSY)
        ):
            by_speaker.setdefault(row.speaker, []).append(i)
    chosen: list[int] = []
    rng = np.random.default_rng(0)
    order = [rng.permutation(rows).tolist() for _, rows in sorted(by_speaker.items())]
    while order and len(chosen) < limit:
        chosen += [rows.pop() for rows in order][: limit - len(chosen)]
        order = [rows for rows in order if rows]
    return chosen


def measure(original: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """How far one copy is from its original, 16 kHz float32 each."""
    from pesq import pesq
    from pystoi import stoi

    n = min(len(original), len(made))
    original, made = original[:n], made[:n]
    return {
        "pesq": float(pesq(SAMPLE_RATE, original, made, "wb")),
        "stoi": float(stoi(original, made, SAMPLE_RATE)),
        "lsd": log_spectral_distance(original, made),
        **pitch_errors(original, made),
    }


def opinion(samples: np.ndarray, row: Row, words: bool) -> dict[str, float]:
    """What judges say that need no original."""
    scores = dnsmos(samples)
    result = {"lossy": row.set == LOSSY, "dnsmos": scores["overall"], "p808": scores["p808"]}
    if words:
        result["errors"], result["words"] = word_errors(row.text, recognise(samples))
    return result


def average(results: list[dict[str, float]]) -> dict[str, float]:
    """Means over utterances; word errors are summed first."""
    keys = [key for key in results[0] if key not in ("errors", "words")]
    mean = {key: float(np.mean([r[key] for r in results])) for key in keys}
    if "words" in results[0]:
        mean["wer"] = sum(r["errors"] for r in results) / max(1, sum(r["words"] for r in results))
    return {key: round(value, 4) for key, value in mean.items()}


def interval(values: list[float], draws: int = 10000) -> list[float]:
    """Between which two numbers the mean lies with 95 % certainty, were other utterances drawn (bootstrap)."""
    values = np.asarray(values, float)
    means = values[np.random.default_rng(0).integers(0, len(values), (draws, len(values)))].mean(axis=1)
    return [round(float(x), 4) for x in np.percentile(means, [2.5, 97.5])]


def pitch_of_all(vocoder, cache: SpeechCache, rows: list[int], measured: list[dict] = ()) -> dict:
    """The pitch errors over `rows` and utterances already `measured`, and where the mean of each lies with 95 %
    certainty."""
    found = [{key: result[key] for key in PITCH} for result in measured]
    for n, i in enumerate(rows):
        original = cache.samples(i)
        made = vocoder.vocode(mel_spectrogram(Waveform(original, SAMPLE_RATE), PROJECT_MEL)).samples
        length = min(len(original), len(made))
        found.append(pitch_errors(original[:length], made[:length]))
        if n % 100 == 99:
            print(f"pitch of {n + 1} of {len(rows)}", file=sys.stderr)
    intervals = {key: interval([r[key] for r in found]) for key in PITCH}
    return {"utterances": len(found), "mean": average(found), "interval": intervals}


def write_card(card: registry.Card, report: dict) -> None:
    """Puts what was measured on the unseen speakers into the model's card; its tensors stay as they are."""
    metrics = {key: value for key, value in card.metrics.items() if not key.startswith("val_unseen_")}
    metrics |= {f"val_unseen_{key}": value for key, value in report["results"][card.name]["all"].items() if key in CARD}
    metrics["val_unseen_utterances"] = report["utterances"]
    if report["pitch_of_all"]:
        metrics["val_unseen_cents_of_all"] = report["pitch_of_all"]["mean"]["cents"]
        metrics["val_unseen_utterances_of_all"] = report["pitch_of_all"]["utterances"]
    rewrite_card(replace(card, metrics=metrics | {"measured_by": "python -m cli.evaluate vocoder"}))


def table(rows: dict[str, dict[str, float]]) -> str:
    columns = [(key, title) for key, title in COLUMNS if any(key in values for values in rows.values())]
    lines = ["".join([f"{'':<24}"] + [f"{title:>10}" for _, title in columns])]
    for name, values in rows.items():
        cells = [f"{values[key]:>10.3f}" if key in values else f"{'-':>10}" for key, _ in columns]
        lines.append(f"{name:<24}" + "".join(cells))
    return "\n".join(lines)


def main(argv: list[str], draw: Callable | None = None) -> int:
    parser = argparse.ArgumentParser("python -m cli.evaluate vocoder", description=__doc__)
    parser.add_argument("--limit", type=int, default=40, help="utterances")
    parser.add_argument("--vocoder", help="name of a published vocoder (the best one)")
    parser.add_argument("--folder", type=Path, default=registry.PRETRAINED)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs" / "evaluation")
    parser.add_argument(
        "--split", choices=("val_unseen", "val_seen"), default="val_unseen", help="val_seen while developing"
    )
    parser.add_argument("--no-words", action="store_true", help="leave out speech recognition, the slowest judge")
    parser.add_argument(
        "--pitch-limit", type=int, default=1000, help="utterances for the second measurement of pitch; 0: none"
    )
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0: its own choice")
    args = parser.parse_args(argv)
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    cards = [registry.find("vocoder", args.vocoder, args.folder), registry.GRIFFIN_LIM]
    vocoders = {card.name: registry.load(card) for card in {card.name: card for card in cards}.values()}
    cache = SpeechCache()
    rows = choose(cache, args.limit, args.split)
    results: dict[str, list[dict]] = {"original": [], FLOOR: []} | {name: [] for name in vocoders}
    pairs, stopped = [], False
    try:
        for n, i in enumerate(rows):
            row, original = cache.rows[i], cache.samples(i)
            mel = mel_spectrogram(Waveform(original, SAMPLE_RATE), PROJECT_MEL)
            found = {"original": opinion(original, row, not args.no_words)}
            noise = np.random.default_rng(0).standard_normal(len(original)) * np.sqrt(np.mean(original**2)) * 0.01
            hissing = measure(original, (original + noise).astype(np.float32))
            found[FLOOR] = hissing | {"lossy": row.set == LOSSY}
            versions = {"original": original}
            for name, vocoder in vocoders.items():
                start, start_cpu = time.perf_counter(), time.process_time()
                chunks = vocoder.stream(mel)
                made = [next(chunks)]
                first = time.perf_counter() - start
                made += list(chunks)
                wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
                versions[name] = np.concatenate([chunk.samples for chunk in made])
                result = measure(original, versions[name]) | opinion(versions[name], row, not args.no_words)
                result |= {"rtf": wall / mel.seconds, "cpu": cpu / mel.seconds, "first_ms": 1000 * first}
                found[name] = result
            for name, result in found.items():  # only whole utterances count
                results[name].append(result)
            if len(pairs) < 3:
                pairs.append((row.utt_id, versions))
            print(f"{n + 1} of {len(rows)}", file=sys.stderr)
    except KeyboardInterrupt:  # what was measured so far still counts, and says of how many
        stopped = True
        print("stopped early", file=sys.stderr)
    shown, summary = {}, {}
    for name, values in results.items():
        groups = {
            "": values,
            "lossless": [v for v in values if not v["lossy"]],
            "lossy": [v for v in values if v["lossy"]],
        }
        for group, chosen in groups.items():
            if chosen and (group == "" or len(chosen) < len(values)):
                shown[f"{name} {group}".strip()] = average(
                    [{k: v for k, v in r.items() if k != "lossy"} for r in chosen]
                )
        summary[name] = {
            group or "all": shown[f"{name} {group}".strip()] for group in groups if f"{name} {group}".strip() in shown
        }
        intervals = {key: interval([v[key] for v in values]) for key in INTERVALS if values and key in values[0]}
        summary[name] |= {"interval": intervals} if intervals else {}
    print(table(shown))
    pitch = None
    if args.pitch_limit and not stopped:
        others = choose(cache, args.pitch_limit, args.split)[len(rows) :]  # it begins with the same utterances
        pitch = pitch_of_all(vocoders[cards[0].name], cache, others, results[cards[0].name])
        print("pitch of all:", json.dumps(pitch))
    args.output.mkdir(parents=True, exist_ok=True)
    rows = rows[: len(results["original"])]
    about = {
        "split": args.split, "utterances": len(rows), "speakers": len({cache.rows[i].speaker for i in rows}),
        "seconds": round(sum(cache.rows[i].seconds for i in rows), 1), "steps": cards[0].steps,
        "torch_threads": torch.get_num_threads(), "results": summary,
        "pitch_of_all": pitch,
    }  # fmt: skip
    (args.output / "vocoder.json").write_text(json.dumps(about, indent=1) + "\n")
    if args.split == "val_unseen" and cards[0].path and rows:
        write_card(cards[0], about)
    if draw is not None:
        draw(args.output / "vocoder.png", pairs)
    return 0
