"""The first word of a command chooses the module whose `main(argv)` does the work."""

import importlib
import os
import sys

# Before numpy is loaded: its small matrices lose more by sharing a busy machine's processors than they gain.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from core.errors import VoiceError


def dispatch(program: str, table: dict[str, tuple[str, str]], argv: list[str]) -> int:
    """Runs `main(argv[1:])` of the word's module, with the function of `cli.plots` that draws for it, if it has one.

    table: word -> (module, name in cli.plots or ""). For a wrong word or a VoiceError: one line on stderr, exit code 2.
    """
    if not argv or argv[0] not in table:
        print(
            f"usage: python -m {program} {{{'|'.join(table)}}} [options]   (--help after the word for its options)",
            file=sys.stderr,
        )
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    try:
        module, plot = table[argv[0]]
        draw = {"draw": getattr(importlib.import_module("cli.plots"), plot)} if plot else {}
        return importlib.import_module(module).main(argv[1:], **draw) or 0
    except VoiceError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
