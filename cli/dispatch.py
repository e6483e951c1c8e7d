"""The first word of a command chooses the module whose `main(argv)` does the work."""

import importlib
import sys

from core.errors import VoiceError


def dispatch(program: str, table: dict[str, str], argv: list[str]) -> int:
    """Runs `table[argv[0]].main(argv[1:])`; exit code 2 and one line on stderr for a wrong word or a VoiceError."""
    if not argv or argv[0] not in table:
        print(
            f"usage: python -m {program} {{{'|'.join(table)}}} [options]   (--help after the word for its options)",
            file=sys.stderr,
        )
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    try:
        return importlib.import_module(table[argv[0]]).main(argv[1:]) or 0
    except VoiceError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
