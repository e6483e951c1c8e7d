"""python -m cli.evaluate speech: what the synthesizer says in voices it never heard, judged by machines.

Every sentence is spoken in the voice of every unseen speaker, each known from one other utterance. The speaker's real
reading and espeak-ng go through the same mill, as ceiling and floor, once for each sentence. What is judged is kept: a
run that was stopped goes on where it was.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import numpy as np

from core.audio.mel import mel_spectrogram
from core.errors import VoiceError
from core.evaluation import measures
from core.evaluation.cases import SETS, SPEAKERS, Case, choose_cases, enrolment, spread
from core.evaluation.judges import Judges, written
from core.evaluation.kept import Kept
from core.evaluation.sentences import HARD, HARVARD
from core.evaluation.verification import equal_error_rate
from core.inference import registry
from core.inference.cloner import use_one_thread
from core.inference.tuning import tuner_for
from core.text.normalise import normalise
from core.text.sentences import split_sentences
from core.training.data import CACHE, REPOSITORY, SAMPLE_RATE, SpeechCache
from core.types import PROJECT_MEL, Embedding, SpeakOptions, Waveform

REPORT = REPOSITORY / "docs" / "evaluation" / "speech.json"


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


class Bench:
    """Speaks cases and has them judged; lives in a process of one thread."""

    def __init__(self, synthesizer: str | None, vocoder: str | None, keep: Path | None, copies: bool, tuned: bool):
        self.cache, self.judges = SpeechCache(), Judges()
        use_one_thread()
        self.synthesizer = registry.load(registry.find("synthesizer", synthesizer))
        self.vocoder = registry.load(registry.find("vocoder", vocoder))
        self.tuner = tuner_for(self.synthesizer, registry.PRETRAINED) if tuned else None
        self.keep, self.copies = keep, copies
        self._references: dict[int, tuple[Embedding, float]] = {}

    def voices_of(self, utterance: int) -> dict[str, np.ndarray]:
        """The voice heard in a recording, by name of the encoder."""
        return self.judges.voices(self.cache.samples(utterance))

    def reference(self, utterance: int) -> tuple[Embedding, float]:
        """Voice to speak in, and median F0 in Hz (0 if unvoiced), of the utterance that a voice is taken from."""
        if utterance not in self._references:
            samples = self.cache.samples(utterance)
            f0, voiced = measures.pitch(samples)
            voice = self.judges.encoder.embed(Waveform(samples, SAMPLE_RATE))[0]
            voice = self.tuner.tune(voice) if self.tuner else voice
            self._references[utterance] = voice, float(np.median(f0[voiced])) if voiced.any() else 0.0
        return self._references[utterance]

    def run(self, number: int, case: Case) -> dict[str, dict]:
        """What is judged of a case, by system. number: names the files, where sounds are kept."""
        words = [spoken for word in normalise(case.text) for spoken in word.spoken]
        kind = " (harvard)" if case.text in HARVARD else " (hard)" if case.text in HARD else ""
        voice, f0 = self.reference(case.reference)
        found: dict[str, dict] = {}

        def note(system: str, samples: np.ndarray, **more) -> None:
            constant = system == "real" or system.startswith("espeak-ng")
            key = f"{system}|{case.reading}|{written(words)}" if constant else ""
            judged = self.judges.judge(samples, words, not system.startswith("espeak-ng"), key)
            about = {"speaker": case.speaker, "text": written(words), "reference_f0": f0}
            found[system] = {**about, **judged, **more}
            if self.keep is not None:
                from core.audio.io import write_audio

                self.keep.mkdir(parents=True, exist_ok=True)
                sound = Waveform(samples / max(1.0, float(np.abs(samples).max(initial=0))), SAMPLE_RATE)
                write_audio(self.keep / f"{system.replace(' ', '_')}_{number:03d}.wav", sound)

        more = {}
        if case.reading is not None:
            real = self.cache.samples(case.reading)
            more = {"real_seconds": _extent(real)}
            note("real", real)
            if self.copies:
                mel = mel_spectrogram(Waveform(real, SAMPLE_RATE), PROJECT_MEL)
                note("copy", self.vocoder.vocode(mel).samples)
        samples, making, sounding = speak(case, voice, self.synthesizer, self.vocoder)
        note("ours" + kind, samples, synthesizer_s=making, vocoder_s=sounding, **more)
        floor = espeak_reading(case.text) if case.controlled else None
        if floor is not None:
            note("espeak-ng" + kind, floor)
        return found


@lru_cache(maxsize=1)
def _bench(*settings) -> Bench:
    return Bench(*settings)


def _run(settings: tuple, number: int, case: Case) -> dict[str, dict]:
    return _bench(*settings).run(number, case)


def _voices_of(settings: tuple, utterance: int) -> dict[str, np.ndarray]:
    return _bench(*settings).voices_of(utterance)


def evaluate(
    sets: list[str],
    synthesizer: str | None,
    vocoder: str | None,
    limit: int,
    keep: Path | None,
    copies: bool = True,
    speakers: int = SPEAKERS,
    processes: int = 1,
    tuned: bool = True,
) -> dict:
    """Runs everything; a dict of plain values. limit: only so many sentences, 0 for all. speakers: voices for each.
    tuned: whether the synthesizer is tuned to each voice (`core.inference.tuning`)."""
    cache = SpeechCache()
    cases = choose_cases(cache, sets)
    every = spread(cases, speakers)
    grid = every[: limit * len(every) // len(cases) if limit else None]
    cards = [registry.find(*which) for which in (("synthesizer", synthesizer), ("vocoder", vocoder), ("encoder",))]
    kept, settings = Kept(cards, copies, tuned=tuned), (synthesizer, vocoder, keep, copies, tuned)
    open_cases = [(n, case) for n, case in enumerate(grid) if keep is not None or Kept.key(case) not in kept.results]
    enrolled = enrolment(choose_cases(cache, ["held-back"]))  # every unseen speaker is someone to be mistaken for
    if processes > 1 and open_cases:  # librosa keeps what its first call compiles: two who write that garble it
        with contextlib.suppress(VoiceError):
            measures.dnsmos(np.zeros(SAMPLE_RATE, np.float32))
    with _one_thread_each(), ProcessPoolExecutor(processes, get_context("spawn"), end_with_parent) as pool:
        heard = {i: pool.submit(_voices_of, settings, i) for indices in enrolled.values() for i in sorted(indices)}
        begun, jobs = time.monotonic(), {pool.submit(_run, settings, n, case): case for n, case in open_cases}
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                kept.add(jobs[job], job.result())
                left = (time.monotonic() - begun) / done * (len(jobs) - done) / 60
                print(f"\r{len(grid) - len(jobs) + done} of {len(grid)} spoken and judged, {left:.0f} min left   ",
                      end="", file=sys.stderr, flush=True)  # fmt: skip
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        centroids = _centroids({s: [heard[i].result() for i in sorted(indices)] for s, indices in enrolled.items()})
    print(file=sys.stderr)
    results: dict[str, list[dict]] = {}
    for case in grid:
        for system, found in kept.results[Kept.key(case)].items():
            voices = {encoder: np.array(vector) for encoder, vector in found["voices"].items()}
            results.setdefault(system, []).append({**found, "voices": voices})
    plain = {s: [{k: v for k, v in r.items() if k != "voices"} for r in found] for s, found in results.items()}
    return {
        "synthesizer": cards[0].name,
        "steps": cards[0].steps,
        "vocoder": cards[1].name,
        "encoder": cards[2].name,
        "tuned": tuned,
        "recogniser": "pocketsphinx, default English model",
        "speakers_for_each_sentence": min(speakers, len(enrolled)),
        "systems": {system: _summary(found, centroids) for system, found in results.items()},
        "sentences": plain,
    }


def _centroids(heard: dict[str, list[dict[str, np.ndarray]]]) -> dict[str, dict[str, np.ndarray]]:
    """Speaker -> encoder -> the mean voice, of norm 1."""
    centroids: dict[str, dict[str, np.ndarray]] = {}
    for speaker, found in heard.items():
        for encoder in {name for voices in found for name in voices}:
            mean = np.mean([voices[encoder] for voices in found if encoder in voices], axis=0)
            centroids.setdefault(speaker, {})[encoder] = mean / np.linalg.norm(mean)
    return centroids


def end_with_parent() -> None:
    """In a worker: ends it when the process that began it is gone, however that ended. It would wait for ever."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _one_thread_each():
    """Processes started meanwhile calculate on one thread: their libraries read it when they are loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


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


ON_CARD = (
    "wer", "lost", "doubled", "similarity_resemblyzer", "nearest_is_right_resemblyzer", "eer_resemblyzer", "dnsmos",
    "duration_ratio", "synthesizer_rtf",
)  # fmt: skip


def write_card(report: dict) -> None:
    """Puts the summaries of what the synthesizer said into its card, weights untouched."""
    from core.training.checkpoint import rewrite_card

    card = registry.find("synthesizer", report["synthesizer"])
    metrics = {"vocoder": report["vocoder"], "speakers_for_each_sentence": report["speakers_for_each_sentence"]}
    for system, values in report["systems"].items():
        if system.startswith("ours"):  # ours, ours (hard), ...
            part = system.removeprefix("ours").strip(" ()") or "held-back"
            metrics |= {f"unseen_{part}_{key}": round(values[key], 4) for key in ON_CARD if key in values}
    kept = {key: value for key, value in card.metrics.items() if key.startswith("validation_")}
    rewrite_card(replace(card, metrics=kept | metrics))


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
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--limit", type=int, default=0, help="only the first sentences")
    parser.add_argument(
        "--speakers",
        type=lambda text: {"all": SPEAKERS, "one": 1}.get(text) or int(text),
        default=SPEAKERS,
        metavar="all|one|N",
        help="unseen speakers who say each sentence (default: all)",
    )
    parser.add_argument("--processes", type=int, default=1, help="of one thread each")
    parser.add_argument(
        "--output",
        type=Path,
        help="JSON; a PNG is drawn beside it (default: docs/evaluation/speech.json, or cache/speech_part.json where "
        "sentences or speakers are left out)",
    )
    parser.add_argument("--no-tuning", action="store_true", help="without tuning the synthesizer to each voice")
    parser.add_argument("--no-copies", action="store_true", help="without real speech through mel and vocoder")
    parser.add_argument("--keep", type=Path, help="folder for the sounds")
    parser.add_argument("--card", action="store_true", help="write the result into the synthesizer's card too")
    args = parser.parse_args(argv)
    if args.speakers < 1 or args.processes < 1 or args.limit < 0:
        parser.error("--speakers and --processes are at least 1, --limit at least 0")
    whole = set(args.sets) == set(SETS) and not args.limit and args.speakers >= SPEAKERS
    args.output = args.output or (REPORT if whole else CACHE / "speech_part.json")
    report = evaluate(
        args.sets,
        args.synthesizer,
        args.vocoder,
        args.limit,
        args.keep,
        not args.no_copies,
        args.speakers,
        args.processes,
        not args.no_tuning,
    )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if draw is not None:
        draw(args.output.with_suffix(".png"), report, COLUMNS)
    if args.card:
        write_card(report)
    print(table(report))
    print(f"Written to {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
