"""Text files, and what is said of those that cannot be read."""

from pathlib import Path

from core.errors import TextError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises TextError, naming it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextError(f"{path.name} is not UTF-8 text.", "Save it as UTF-8.") from error
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error.strerror}.", "Pick a text file.") from error
