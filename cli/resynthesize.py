"""Copy synthesis: what a vocoder makes of a recording's own mel spectrogram."""

import argparse
import time
from pathlib import Path

from cli.engine import add_model_options, load_model, read
from cli.terminal import progress
from core.audio.io import check_target, write_audio
from core.progress import part


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a recording")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="wav, flac or ogg, by its suffix")
    add_model_options(parser, "vocoder")


def run(arguments: argparse.Namespace) -> dict:
    check_target(arguments.output)
    waveform = read(arguments.file)
    with progress() as report:
        report(0.0, "loading the vocoder")
        from core.inference.cloner import Cloner

        cloner = Cloner(arguments.pretrained)
        cloner.vocoder = load_model(arguments, "vocoder", arguments.vocoder)
        started = time.perf_counter()
        result = cloner.resynthesize(waveform, part(report, 0.1, 1.0))
        took = time.perf_counter() - started
        write_audio(arguments.output, result)
    return {
        "output": str(arguments.output),
        "sample_rate": result.sample_rate,
        "seconds": round(result.seconds, 3),
        "real_time_factor": round(took / max(result.seconds, 1e-9), 4),
    }


def show(result: dict) -> None:
    print(f"{result['output']}: {result['seconds']:.1f} s, made at {result['real_time_factor']:.2f} × real time")
