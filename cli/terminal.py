"""What the verbs of demo_cli share: arguments, one line for an error, one for JSON, a bar for progress."""

import argparse
import contextlib
import importlib
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import VoiceError
from core.progress import Report

PROGRAM = "demo_cli.py"

VERBS = {
    "speak": "speak a text in the voice of a recording",
    "embed": "print the speaker embeddings of recordings",
    "compare": "print how alike the voices of recordings are",
    "models": "list the models in pretrained/",
    "resynthesize": "copy synthesis: wave to mel to vocoder to wave",
    "benchmark": "measure speed and memory on this machine",
}
"""Each is a module of `cli` with `configure(parser)` and `run(arguments) -> dict`, imported for its own sake only."""


class UsageError(VoiceError):
    """Arguments that make no sense."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.".replace("..", "."), f"See {self.prog} --help.")


def parser_for(verb: str | None) -> argparse.ArgumentParser:
    """The parser of one verb, or of the choice among them; other verbs' modules are not imported."""
    if verb is None:
        parser = _Parser(prog=PROGRAM, description="The voice cloning toolbox without its window.")
        listed = parser.add_subparsers(metavar="VERB", title="verbs", required=True)
        for name, description in VERBS.items():
            listed.add_parser(name, help=description, add_help=False)
        return parser
    module = importlib.import_module(f"cli.{verb}")
    parser = _Parser(prog=f"{PROGRAM} {verb}", description=module.__doc__)
    module.configure(parser)
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="DIR",
        help="folder of the models (default: $VOICE_PRETRAINED or pretrained/)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, on one line, on stdout")
    return parser


def main(argv: list[str]) -> int:
    """Runs a verb. 0 done; 2 an error foreseen, or bad arguments: one line on stderr; 130 interrupted."""
    if not os.environ.get("VOICE_TRACEBACK"):
        warnings.simplefilter("ignore")  # what libraries tell developers is no answer to the user
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # file names need not fit the terminal's encoding
    try:
        verb = argv[0] if argv and argv[0] in VERBS else None
        arguments = parser_for(verb).parse_args(argv[1:] if verb else argv)
        module = importlib.import_module(f"cli.{verb}")
        if arguments.pretrained is None:
            arguments.pretrained = pretrained_folder()
        result = module.run(arguments)
        if arguments.json:
            print(json.dumps(result), flush=True)
        else:
            module.show(result)
            sys.stdout.flush()
        return 0
    except VoiceError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("Stopped.")
        return 130
    except BrokenPipeError:  # the reader, `head` perhaps, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("VOICE_TRACEBACK"):
            traceback.print_exc()
        _say(f"Something unforeseen went wrong ({type(error).__name__}: {error}). VOICE_TRACEBACK=1 shows where.")
        return 1


def pretrained_folder() -> Path:
    from core.inference.registry import PRETRAINED

    return Path(os.environ.get("VOICE_PRETRAINED") or PRETRAINED)


def _say(text: str) -> None:
    clear_line = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(clear_line + " ".join(text.split()), file=sys.stderr, flush=True)


def note(text: str) -> None:
    """A remark for the person at the terminal, on stderr."""
    _say(text)


@contextlib.contextmanager
def progress() -> Iterator[Report]:
    """A report drawn as a bar on stderr, if that is a terminal; it is wiped away at the end."""
    if not sys.stderr.isatty():
        yield lambda fraction, note="": None
        return
    drawn = [0.0, ""]

    def report(fraction: float, note: str = "") -> None:
        now = time.monotonic()
        line = f"\r[{'#' * round(24 * fraction):24}] {100 * fraction:3.0f} % {note}"[:78]
        if now - drawn[0] > 0.05 and line != drawn[1]:
            drawn[:] = now, line
            sys.stderr.write(line + "\x1b[K")
            sys.stderr.flush()

    try:
        yield report
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


@contextlib.contextmanager
def decoders_silent() -> Iterator[None]:
    """While C libraries decode: mp3's writes its own opinions to stderr, past Python."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except OSError:  # a program without stderr
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def table(rows: list[list[Any]], numbers_from: int = 1) -> str:
    """Rows in columns; from column `numbers_from` on, right-aligned."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i >= numbers_from else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )
