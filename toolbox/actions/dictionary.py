"""The person's own pronunciations: a text file beside the settings."""

import os
from pathlib import Path

from PyQt5.QtCore import QObject

from core.errors import TextError, VoiceError
from core.text.dictionary import DictionaryError, read_dictionary
from core.text.files import read_text
from toolbox import actions
from toolbox.jobs import Job

FIRST_TEXT = """\
# Words that are said wrong, one a line. For example, without the #:
# Nevada = nuh-VAD-uh
# SQL = sequel
# gif = /dʒɪf/
"""


class DictionaryActions(QObject):
    """Reads and writes the file; both in the files lane."""

    def __init__(self, tools: "actions.Tools", parent: QObject):
        super().__init__(parent)
        self.tools = tools

    @property
    def path(self) -> Path:
        return self.tools.settings.path.parent / "pronunciations.txt"

    @property
    def _place(self) -> str:
        return f"It lies in {self.path.parent}."

    def entries(self) -> tuple[tuple[str, str], ...]:
        """What the file says now; for workers. Raises TextError, naming the line."""
        try:
            return read_dictionary(self.path) if self.path.exists() else ()
        except TextError as error:
            where = "See Pronunciations… in the Edit menu." if isinstance(error, DictionaryError) else self._place
            raise TextError(error.message, f"{error.hint} {where}") from error

    def read(self) -> Job:
        """A job that gives the text of the file, or an explanation where there is none yet."""
        path = self.path

        def read() -> str:
            try:
                return read_text(path) if path.exists() else FIRST_TEXT
            except TextError as error:
                raise TextError(error.message, f"{error.hint} {self._place}") from error

        return self._submit("Reading the pronunciations", read)

    def save(self, text: str) -> Job:
        """Writes beside the file, then replaces it: it is whole at any time."""
        path = self.path

        def write() -> None:
            beside = path.with_suffix(".new")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                beside.write_text(text, encoding="utf-8")
                os.replace(beside, path)
            except OSError as error:
                raise VoiceError(
                    f"{path} cannot be written: {error.strerror}.", "Make room, or see who may write there."
                ) from error

        return self._submit("Saving the pronunciations", write)

    def _submit(self, title: str, work) -> Job:
        job = self.tools.files.submit(title, lambda report: work(), quiet=True)
        job.failed.connect(lambda error: self.tools.notices.failure(error, key="dictionary"))
        return job
