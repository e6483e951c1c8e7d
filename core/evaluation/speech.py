"""python -m cli.evaluate speech: what the synthesizer says in voices it never heard, judged by machines.

Every sentence is spoken in the voice of an unseen speaker, known from one other utterance. The speaker's real reading
and espeak-ng go through the same mill, as ceiling and floor.
"""

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.audio.mel import mel_spectrogram
from core.errors import VoiceError
from core.evaluation import measures
from core.evaluation.sentences import HARD, HARVARD
from core.evaluation.verification import equal_error_rate
from core.evaluation.words import lost_and_doubled
from core.inference import registry
from core.text.normalise import normalise
from core.text.sentences import split_sentences
from core.training.data import CACHE, REPOSITORY, SAMPLE_RATE, SpeechCache
from core.types import PROJECT_MEL, Embedding, SpeakOptions, Waveform

REPORT = REPOSITORY / "docs" / "evaluation" / "speech.json"


@dataclass(frozen=True)
class Case:
    """One sentence to say. reference: the utterance the voice is taken from; enrolled: four others of the speaker, to
    compare with; reading: the utterance in which the speaker says this very text, or None."""

    text: str
    speaker: str
    reference: int
    enrolled: tuple[int, ...]
    reading: int | None


def choose_cases(cache: SpeechCache, sets: list[str]) -> list[Case]:
    """Two sentences for each unseen speaker in each set of sentences, always the same ones."""
    rng = random.Random(7)
    by_speaker: dict[str, list[int]] = {}
    for i, row in enumerate(cache.rows):
        if row.split == "val_unseen":
            by_speaker.setdefault(row.speaker, []).append(i)
    cases = []
    for s, speaker in enumerate(sorted(by_speaker)):
        own = by_speaker[speaker]
        readable = [i for i in own if 2.5 <= cache.rows[i].seconds <= 8 and 6 <= len(cache.rows[i].text.split()) <= 22]
        for k, i in enumerate(rng.sample(readable, 2)):
            others = [j for j in own if j != i and cache.rows[j].seconds > 3]
            reference = rng.choice(others)
            enrolled = tuple(rng.sample([j for j in others if j != reference], 4))
            for name in sets:
                text = {"held-back": cache.rows[i].text, "harvard": HARVARD[2 * s + k], "hard": HARD[2 * s + k]}[name]
                cases.append((name, Case(text, speaker, reference, enrolled, i if name == "held-back" else None)))
    return [case for name in sets for kind, case in cases if kind == name]


def espeak_reading(text: str) -> np.ndarray | None:
    """espeak-ng's own voice at 16 kHz, or None where the program is not installed."""
    program = shutil.which("espeak-ng")
    if program is None:
        return None
    import soundfile
    import soxr

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run([program, "-v", "en-us", "-w", str(path), "--", text.lower()], check=True, capture_output=True)
        samples, sample_rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples, sample_rate, SAMPLE_RATE)


class Judges:
    """Recogniser, voices by our encoder and by Resemblyzer's weights, opinion scores, pitch."""

    def __init__(self):
        self.encoder = registry.load(registry.find("encoder"))
        self._public = None
        try:
            from core.training.teacher import load_teacher

            self._public = load_teacher()
        except VoiceError as error:
            print(f"{error} Its similarities are left out.", file=sys.stderr)

    def voices(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """The voice heard, by name of the encoder, each of norm 1; without those that refuse the sound."""
        found = {}
        with contextlib.suppress(VoiceError):
            found["ours"] = self.encoder.embed(Waveform(samples, SAMPLE_RATE))[0].vector
        if self._public is not None:
            from core.audio.partials import partial_mels, partial_starts
            from core.training.teacher import embed_windows, speech_of

            speech = speech_of(np.asarray(samples, np.float32))
            mean = embed_windows(self._public, [partial_mels(speech, partial_starts(len(speech)))], half=False).mean(
                axis=0
            )
            found["resemblyzer"] = mean / max(float(np.linalg.norm(mean)), 1e-6)
        return found

    def judge(self, samples: np.ndarray, words: list[str], opinion: bool, key: str = "") -> dict:
        """Everything that needs one sound and its words, as spoken, alone. opinion: whether to ask DNSMOS (slow).

        key: what names a sound that is always the same; its judgement is kept in the cache, all but the voices.
        """
        path = CACHE / "judged_speech.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not key or "lost" not in kept.get(key, {}):
            found = self._judge(samples, words, opinion)
            if key:
                kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({**kept, key: found}), encoding="utf-8")
        else:
            found = kept[key]
        return {**found, "voices": self.voices(samples)}

    @staticmethod
    def _judge(samples: np.ndarray, words: list[str], opinion: bool) -> dict:
        padded = np.pad(samples, SAMPLE_RATE // 3)
        heard = measures.recognise(padded)
        errors, n_words = measures.word_errors(_written(words), heard)
        lost, doubled = lost_and_doubled(samples, words)
        f0, voiced = measures.pitch(samples)
        result = {
            "heard": heard,
            "errors": errors,
            "words": n_words,
            "lost": [words[k] for k in lost],
            "doubled": [words[k] for k in doubled],
            "f0": float(np.median(f0[voiced])) if voiced.any() else 0.0,
        }
        with contextlib.suppress(VoiceError):
            if opinion:
                result["dnsmos"] = measures.dnsmos(samples)["overall"]
        return {**result, "seconds": len(samples) / SAMPLE_RATE}


def speak(case: Case, voice: Embedding, synthesizer, vocoder, seed: int = 0) -> tuple[np.ndarray, float, float]:
    """The sound of a case, and seconds spent in the synthesizer and in the vocoder."""
    sounds, making, sounding = [], 0.0, 0.0
    for sentence in split_sentences(case.text):
        begun = time.perf_counter()
        mel, _ = synthesizer.synthesize(sentence.text, voice, seed, SpeakOptions())
        between = time.perf_counter()
        sounds += [vocoder.vocode(mel).samples, np.zeros(int(sentence.pause * SAMPLE_RATE), np.float32)]
        making += between - begun
        sounding += time.perf_counter() - between
    return np.concatenate(sounds[:-1]), making, sounding


def _summary(results: list[dict], centroids: dict[str, dict[str, np.ndarray]]) -> dict:
    """Means over the judged sounds of one system."""
    summary: dict = {
        "sentences": len(results),
        "wer": sum(r["errors"] for r in results) / max(1, sum(r["words"] for r in results)),
        "lost": sum(len(r["lost"]) for r in results),
        "doubled": sum(len(r["doubled"]) for r in results),
    }
    for encoder in ("resemblyzer", "ours"):
        same, different, first = [], [], []
        for r in results:
            if encoder in r["voices"]:
                scores = {s: float(c[encoder] @ r["voices"][encoder]) for s, c in centroids.items() if encoder in c}
                same.append(scores[r["speaker"]])
                different += [v for s, v in scores.items() if s != r["speaker"]]
                first.append(max(scores, key=scores.get) == r["speaker"])
        if same:
            summary[f"similarity_{encoder}"] = float(np.mean(same))
            summary[f"nearest_is_right_{encoder}"] = float(np.mean(first))
            summary[f"eer_{encoder}"] = equal_error_rate(np.array(same), np.array(different))
    if all("dnsmos" in r for r in results):
        summary["dnsmos"] = float(np.mean([r["dnsmos"] for r in results]))
    ratios = [r["seconds"] / r["real_seconds"] for r in results if r.get("real_seconds")]
    if ratios:
        summary["duration_ratio"] = float(np.mean(ratios))
    pitched = [r for r in results if r["f0"] and r.get("reference_f0")]
    if pitched:
        summary["pitch_distance_semitones"] = float(
            np.mean([abs(12 * np.log2(r["f0"] / r["reference_f0"])) for r in pitched])
        )
        summary["gender_kept"] = float(np.mean([(r["f0"] > 155) == (r["reference_f0"] > 155) for r in pitched]))
    if any("synthesizer_s" in r for r in results):
        total = sum(r["seconds"] for r in results)
        summary["synthesizer_rtf"] = sum(r["synthesizer_s"] for r in results) / total
        summary["vocoder_rtf"] = sum(r["vocoder_s"] for r in results) / total
    return summary


def evaluate(
    sets: list[str],
    synthesizer_name: str | None,
    vocoder_name: str | None,
    limit: int,
    keep: Path | None,
    copies: bool = True,
) -> dict:
    """Runs everything; a dict of plain values."""
    cache, judges = SpeechCache(), Judges()
    synthesizer = registry.load(registry.find("synthesizer", synthesizer_name))
    vocoder = registry.load(registry.find("vocoder", vocoder_name))
    cases = choose_cases(cache, sets)[: limit or None]
    centroids: dict[str, dict[str, np.ndarray]] = {}
    enrolled: dict[str, set[int]] = {}
    for case in choose_cases(cache, ["held-back"]):  # every unseen speaker is someone to be mistaken for
        enrolled.setdefault(case.speaker, set()).update(case.enrolled)
    for speaker, indices in enrolled.items():
        heard = [judges.voices(cache.samples(i)) for i in sorted(indices)]
        for encoder in {name for voices in heard for name in voices}:
            mean = np.mean([voices[encoder] for voices in heard if encoder in voices], axis=0)
            centroids.setdefault(speaker, {})[encoder] = mean / np.linalg.norm(mean)
    results: dict[str, list[dict]] = {}

    def note(system: str, case: Case, samples: np.ndarray, **more) -> None:
        words = [spoken for word in normalise(case.text) for spoken in word.spoken]
        constant = system == "real" or system.startswith("espeak-ng")
        key = f"{system}|{case.reading}|{_written(words)}" if constant else ""
        found = judges.judge(samples, words, system in ("real", "copy", "ours"), key)
        results.setdefault(system, []).append({"speaker": case.speaker, "text": _written(words), **found, **more})
        if keep is not None:
            from core.audio.io import write_audio

            keep.mkdir(parents=True, exist_ok=True)
            name = f"{system.replace(' ', '_')}_{len(results[system]) - 1:02d}.wav"
            write_audio(keep / name, Waveform(samples / max(1.0, float(np.abs(samples).max(initial=0))), SAMPLE_RATE))

    for n, case in enumerate(cases):
        voice = judges.encoder.embed(Waveform(cache.samples(case.reference), SAMPLE_RATE))[0]
        f0, voiced = measures.pitch(cache.samples(case.reference))
        more: dict = {"reference_f0": float(np.median(f0[voiced])) if voiced.any() else 0.0}
        kind = "" if case.reading is not None else " (harvard)" if case.text in HARVARD else " (hard)"
        if case.reading is not None:
            real = cache.samples(case.reading)
            more["real_seconds"] = _extent(real)
            note("real", case, real, **{**more, "real_seconds": 0})
            if copies:
                mel = mel_spectrogram(Waveform(real, SAMPLE_RATE), PROJECT_MEL)
                note("copy", case, vocoder.vocode(mel).samples, **{**more, "real_seconds": 0})
        samples, making, sounding = speak(case, voice, synthesizer, vocoder)
        note("ours" + kind, case, samples, synthesizer_s=making, vocoder_s=sounding, **more)
        floor = espeak_reading(case.text)
        if floor is not None:
            note("espeak-ng" + kind, case, floor, **{**more, "real_seconds": 0})
        print(f"\r{n + 1} of {len(cases)} sentences", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    summaries = {system: _summary(found, centroids) for system, found in results.items()}
    plain = {s: [{k: v for k, v in r.items() if k != "voices"} for r in found] for s, found in results.items()}
    return {
        "synthesizer": synthesizer.name,
        "steps": synthesizer.card.steps,
        "vocoder": vocoder.name,
        "encoder": judges.encoder.name,
        "recogniser": "pocketsphinx, default English model",
        "systems": summaries,
        "sentences": plain,
    }


def _written(words: list[str]) -> str:
    """Spoken words as a text to count errors against; the letter a is spelt "eh" for the synthesizer's sake."""
    return " ".join(words).replace("eh ", "a ")


def _extent(samples: np.ndarray) -> float:
    """Seconds from the first to the last sound of a reading, with the margins that the synthesizer leaves too."""
    from core.training.features import MARGIN, onset_and_end

    start, end = onset_and_end(samples)
    return end - start + 2 * MARGIN


COLUMNS = {
    "wer": "WER",
    "lost": "lost",
    "doubled": "doubled",
    "similarity_resemblyzer": "sim R",
    "nearest_is_right_resemblyzer": "top1 R",
    "eer_resemblyzer": "EER R",
    "similarity_ours": "sim",
    "nearest_is_right_ours": "top1",
    "eer_ours": "EER",
    "duration_ratio": "length",
    "gender_kept": "gender",
    "pitch_distance_semitones": "pitch st",
    "dnsmos": "DNSMOS",
    "synthesizer_rtf": "RTF",
}


def write_card(report: dict) -> None:
    """Puts the summaries of what the synthesizer said into its card, weights untouched."""
    from safetensors.torch import load_file

    from core.training.checkpoint import publish

    card = registry.find("synthesizer", report["synthesizer"])
    systems = {name: values for name, values in report["systems"].items() if name.startswith("ours")}
    metrics = {
        f"unseen speakers, {name}, {report['vocoder']}": {key: round(value, 4) for key, value in values.items()}
        for name, values in systems.items()
    }
    publish(replace(card, metrics={**card.metrics, **metrics}), load_file(card.path), card.path.parents[1])


def table(report: dict) -> str:
    """The summaries as lines of text."""

    def cell(value: float | None) -> str:
        return f"{'-':>9}" if value is None else f"{value:9d}" if isinstance(value, int) else f"{value:9.3f}"

    lines = [f"{'':22}" + "".join(f"{title:>9}" for title in COLUMNS.values())]
    for system, summary in report["systems"].items():
        lines.append(f"{system:22}" + "".join(cell(summary.get(key)) for key in COLUMNS))
    return "\n".join(lines)


def main(argv: list[str] | None = None, draw: Callable | None = None) -> int:
    """Command line of the evaluation; exit code."""
    parser = argparse.ArgumentParser(prog="cli.evaluate speech", description=__doc__.splitlines()[0])
    parser.add_argument("--synthesizer", help="name (default: the best)")
    parser.add_argument("--vocoder", help="name (default: the best)")
    parser.add_argument(
        "--sets", nargs="+", default=["held-back", "harvard", "hard"], choices=("held-back", "harvard", "hard")
    )
    parser.add_argument("--limit", type=int, default=0, help="only the first sentences")
    parser.add_argument("--output", type=Path, default=REPORT, help="JSON; a PNG is drawn beside it")
    parser.add_argument("--no-copies", action="store_true", help="without real speech through mel and vocoder")
    parser.add_argument("--keep", type=Path, help="folder for the sounds")
    parser.add_argument("--card", action="store_true", help="write the result into the synthesizer's card too")
    args = parser.parse_args(argv)
    report = evaluate(args.sets, args.synthesizer, args.vocoder, args.limit, args.keep, not args.no_copies)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if draw is not None:
        draw(args.output.with_suffix(".png"), report, COLUMNS)
    if args.card:
        write_card(report)
    print(table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
