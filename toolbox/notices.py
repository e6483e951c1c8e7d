"""What the toolbox tells the person: one place to say it, whoever shows it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from PyQt5.QtCore import QObject, pyqtSignal

from core.errors import VoiceError

log = logging.getLogger("toolbox")


@dataclass(frozen=True)
class Notice:
    """One message. level: "info", "warning" or "error". action: what the button `action_label` does.

    key: a later notice of the same key replaces this one ("" never replaces).
    """

    level: str
    message: str
    hint: str = ""
    action_label: str = ""
    action: Callable[[], None] | None = None
    key: str = ""


class Notices(QObject):
    """Passes notices on to whoever shows them, and to the log."""

    posted = pyqtSignal(object)  # Notice
    withdrawn = pyqtSignal(str)  # key
    unexpected = pyqtSignal(object)  # an exception nobody foresaw

    def post(self, notice: Notice) -> None:
        level = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}[notice.level]
        log.log(level, "%s %s", notice.message, notice.hint)
        self.posted.emit(notice)

    def info(self, message: str, hint: str = "", **more) -> None:
        self.post(Notice("info", message, hint, **more))

    def warning(self, message: str, hint: str = "", **more) -> None:
        self.post(Notice("warning", message, hint, **more))

    def error(self, message: str, hint: str = "", **more) -> None:
        self.post(Notice("error", message, hint, **more))

    def failure(self, error: BaseException, key: str = "") -> None:
        """What a failed job leaves: a foreseen error is shown, any other opens the dialog with its details."""
        if isinstance(error, VoiceError):
            self.error(error.message, error.hint, key=key)
        elif isinstance(error, MemoryError):
            self.error("There is not enough memory for this.", "Close other programs, or take a shorter text.", key=key)
        else:
            self.unexpected.emit(error)

    def withdraw(self, key: str) -> None:
        """Takes back a notice whose reason is gone."""
        self.withdrawn.emit(key)
