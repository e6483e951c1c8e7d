"""Speaks a text in the voice of one or more recordings of a person."""

import argparse
from pathlib import Path

from cli.engine import Stages, add_model_options, embed_file, load_cloner, read
from cli.terminal import UsageError, note, progress
from core.audio.io import check_target, write_audio
from core.errors import SilentAudio, TooShort
from core.progress import part
from core.text.dictionary import read_dictionary
from core.text.files import read_text
from core.text.sentences import split_sentences
from core.types import SpeakOptions, mean_embedding


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--voice", type=Path, action="append", required=True, metavar="FILE", help="a recording; several are averaged"
    )
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument("--text", help="what to say")
    text.add_argument("--text-file", type=Path, metavar="FILE", help="a UTF-8 file with what to say")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="wav, flac or ogg, by its suffix")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same sound (default: 0)")
    parser.add_argument("--speed", type=float, default=1.0, help="0.5 to 2 (default: 1)")
    parser.add_argument(
        "--variation", type=float, default=0.5, help="0 to 1, how much the delivery varies with the seed (default: 0.5)"
    )
    parser.add_argument(
        "--pitch", type=float, default=0.0, metavar="SEMITONES", help="-12 to 12, formants kept (default: 0)"
    )
    parser.add_argument(
        "--no-tuning", action="store_true", help="do not tune the synthesizer to the voice: 1 s sooner, less alike"
    )
    parser.add_argument(
        "--dictionary",
        type=Path,
        metavar="FILE",
        help="your pronunciations, a line each: Nevada = nuh-VAD-uh, gif = /dʒɪf/",
    )
    add_model_options(parser, "encoder", "synthesizer", "vocoder")


def run(arguments: argparse.Namespace) -> dict:
    if not 0 <= arguments.seed < 2**32:
        raise UsageError(f"The seed {arguments.seed} is out of range.", "Take a whole number from 0 to 4294967295.")
    if not 0.5 <= arguments.speed <= 2:
        raise UsageError(f"The speed {arguments.speed:g} is out of range.", "Take a number from 0.5 to 2.")
    if not 0 <= arguments.variation <= 1:
        raise UsageError(f"The variation {arguments.variation:g} is out of range.", "Take a number from 0 to 1.")
    if not -12 <= arguments.pitch <= 12:
        raise UsageError(f"The pitch {arguments.pitch:g} is out of range.", "Take -12 to 12 semitones.")
    text = arguments.text if arguments.text is not None else read_text(arguments.text_file)
    pronunciations = read_dictionary(arguments.dictionary) if arguments.dictionary else ()
    split_sentences(text)  # whatever is wrong with text or target is said before the work, not after it
    check_target(arguments.output)
    stages = Stages()
    with stages("read"):
        waveforms = [read(path) for path in arguments.voice]
    with progress() as report:
        with stages("load"):
            cloner = load_cloner(arguments, part(report, 0.0, 0.2))
        with stages("embed"):
            found = [
                embed_file(cloner.encoder, path, waveform, part(report, 0.2, 0.25))
                for path, waveform in zip(arguments.voice, waveforms, strict=True)
            ]
            voice = mean_embedding(found)
        manner = arguments.speed, arguments.variation, arguments.pitch
        options = SpeakOptions(*manner, pronunciations, not arguments.no_tuning)
        take = cloner.clone(text, voice, arguments.seed, options, report=part(report, 0.25, 0.95))
        stages.seconds |= {name: take.receipt.timings[name] for name in ("synthesize", "vocode")}
        with stages("write"):
            write_audio(arguments.output, take.waveform)
        with stages("compare"):
            try:
                similarity = voice.similarity(cloner.encoder.embed(take.waveform, part(report, 0.95, 1.0))[0])
            except (SilentAudio, TooShort) as error:  # a single short word
                note(f"The similarity is unknown: {error.message}")
                similarity = None
    made_in = stages.seconds["synthesize"] + stages.seconds["vocode"]
    return {
        "output": str(arguments.output),
        "sample_rate": take.waveform.sample_rate,
        "seconds": round(take.waveform.seconds, 3),
        "seed": arguments.seed,
        "similarity": None if similarity is None else round(similarity, 4),
        "timings": {name: round(seconds, 4) for name, seconds in stages.seconds.items()},
        "real_time_factor": round(made_in / take.waveform.seconds, 4),
    }


def show(result: dict) -> None:
    alike = "" if result["similarity"] is None else f", similarity to the voice {result['similarity']:.2f}"
    print(f"{result['output']}: {result['seconds']:.1f} s, made at {result['real_time_factor']:.2f} × real time{alike}")
