"""Measures speed and memory on this machine, from the window's launch to the first sound."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cli.engine import add_model_options, load_cloner
from cli.terminal import progress
from core.errors import VoiceError
from core.types import Embedding, Waveform

ROOT = Path(__file__).resolve().parents[1]
REFERENCE_VOICES = ROOT / "assets" / "reference_voices.npz"

TEXT = (
    "The harbour was quiet when the first boats came home. "
    "Nobody had expected them before the evening, and so the market stood empty. "
    "An old woman laughed, took her basket and went down to the water."
)
"""Three sentences, about twelve seconds."""

RUNS = 5


def configure(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser, "encoder", "synthesizer", "vocoder")


def run(arguments: argparse.Namespace) -> dict:
    with progress() as report:
        report(0.0, "opening the window")
        window = window_visible_seconds()
        report(0.3, "loading the models")
        cloner = load_cloner(arguments)
        voice = reference_voice(cloner.encoder.space)
        report(0.4, "warming up")
        take = cloner.clone(TEXT, voice)  # also the sample of speech that needs no file
        sample = five_seconds(take.waveform)
        cloner.encoder.embed(sample)
        embed = median_seconds(lambda: cloner.encoder.embed(sample))
        synthesizer_rtf, vocoder_rtf, first = [], [], []
        for i in range(RUNS):
            report(0.5 + 0.5 * i / RUNS, "speaking")
            take = cloner.vocode(cloner.synthesize(TEXT, voice, seed=i))
            synthesizer_rtf.append(take.receipt.timings["synthesize"] / take.waveform.seconds)
            vocoder_rtf.append(take.receipt.timings["vocode"] / take.waveform.seconds)
            first.append(first_sound_seconds(cloner, voice, seed=i))
        first_new = first_sound_seconds(cloner, reference_voice(cloner.encoder.space, 1), seed=0)
    return {
        "window_visible_s": window and round(window, 3),
        "embed_5s_s": round(embed, 4),
        "synthesizer_rtf": round(statistics.median(synthesizer_rtf), 4),
        "vocoder_rtf": round(statistics.median(vocoder_rtf), 4),
        "first_sound_s": round(statistics.median(first), 4),
        "first_sound_new_voice_s": round(first_new, 4),
        "rss_mb": round(peak_memory_mb(), 1),
    }


def show(result: dict) -> None:
    meanings = {
        "window_visible_s": "s from launch until the window is visible",
        "embed_5s_s": "s to embed 5 s of speech",
        "synthesizer_rtf": "times real time: synthesizer",
        "vocoder_rtf": "times real time: vocoder",
        "first_sound_s": "s until the first sound of three sentences, models warm",
        "first_sound_new_voice_s": "s until it in a voice not spoken in before, tuning included",
        "rss_mb": "MB of resident memory, at most, of the process that did it",
    }
    for key, meaning in meanings.items():
        value = "-" if result[key] is None else f"{result[key]:.3f}"
        print(f"{value:>9}  {meaning}")


def median_seconds(work: Callable[[], Any], runs: int = RUNS) -> float:
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def window_visible_seconds(runs: int = 3) -> float | None:
    """From the start of a new process until its window says it is visible; the first launch warms the disk's cache.

    On the present display, else drawn into memory. None where no window can be opened (no PyQt5).
    """
    environment = dict(os.environ)
    if sys.platform.startswith("linux") and not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        environment["QT_QPA_PLATFORM"] = "offscreen"
    taken = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "demo_toolbox.py"), "--measure-startup"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            line = process.stdout.readline()  # printed when the window is visible
            seconds = time.perf_counter() - started
            try:
                json.loads(line)
                process.wait(60)
            except (ValueError, subprocess.TimeoutExpired):
                process.kill()
                return None
        taken.append(seconds)
    return statistics.median(taken[1:])


def reference_voice(space: str, number: int = 0) -> Embedding:
    """One of the reference voices. Raises VoiceError where they are missing, or of another space."""
    try:
        with np.load(REFERENCE_VOICES, allow_pickle=False) as voices:
            if str(voices["space"]) != space:
                raise VoiceError(f"The reference voices are {voices['space']}, the encoder's are {space}.")
            vector = voices["vectors"][number].astype(np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise VoiceError("The reference voices cannot be read.", "Restore assets/ from the repository.") from error
    return Embedding(vector / np.linalg.norm(vector), space)


def five_seconds(waveform: Waveform) -> Waveform:
    n = 5 * waveform.sample_rate
    return Waveform(np.resize(waveform.samples, n), waveform.sample_rate)


def first_sound_seconds(cloner: Any, voice: Embedding, seed: int) -> float:
    """From the request until the first chunk of sound is there; the rest is made all the same."""
    heard: list[float] = []
    started = time.perf_counter()
    cloner.clone(TEXT, voice, seed, on_audio=lambda chunk: heard.append(time.perf_counter()))
    return heard[0] - started


def peak_memory_mb() -> float:
    """The most resident memory this process ever had, in MB (10^6 bytes)."""
    if sys.platform == "win32":
        import ctypes
        from ctypes import wintypes

        names = ["PageFaultCount"]
        sizes = ["PeakWorkingSetSize", "WorkingSetSize", "a", "b", "c", "d", "PagefileUsage", "PeakPagefileUsage"]

        class Counters(ctypes.Structure):
            _fields_ = [("cb", wintypes.DWORD), *((n, wintypes.DWORD) for n in names)] + [
                (n, ctypes.c_size_t) for n in sizes
            ]

        counters = Counters(cb=ctypes.sizeof(Counters))
        kernel = ctypes.windll.kernel32
        kernel.GetCurrentProcess.restype = wintypes.HANDLE
        kernel.K32GetProcessMemoryInfo(wintypes.HANDLE(kernel.GetCurrentProcess()), ctypes.byref(counters), counters.cb)
        return counters.PeakWorkingSetSize / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
