"""What opens when something went wrong that nobody foresaw: what it was, its details to copy, where the log is."""

import platform
import sys
import traceback
from pathlib import Path

from PyQt5.QtCore import QT_VERSION_STR, Qt
from PyQt5.QtGui import QFontDatabase
from PyQt5.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QWidget,
)

from toolbox.widgets.parts import dialog_column


def details(error: BaseException) -> str:
    """The trace and the versions, as text to paste into a report."""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return f"Python {sys.version.split()[0]}, Qt {QT_VERSION_STR}, {platform.platform()}\n\n{trace}"


class ErrorDialog(QDialog):
    """Not modal by force: the rest of the window goes on."""

    def __init__(self, error: BaseException, log: Path, parent: QWidget | None = None):
        super().__init__(parent)
        column = dialog_column(self, "Something went wrong", 720, 420)
        title = QLabel("Something went wrong that this program did not expect.")
        title.setObjectName("empty_title")
        summary = QLabel(f"{type(error).__name__}: {error}"[:400])
        summary.setTextFormat(Qt.PlainText)
        summary.setWordWrap(True)
        hint = QLabel("Your voices and takes are still here. If it happens again, copy these details into a report.")
        hint.setWordWrap(True)
        hint.setObjectName("muted")
        self.text = QPlainTextEdit(details(error))
        self.text.setReadOnly(True)
        self.text.setAccessibleName("Details")
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.FixedFont))
        self.log = QLabel(f"Log: {log}")
        self.log.setObjectName("muted")
        self.log.setTextInteractionFlags(Qt.TextSelectableByMouse)
        self.copy = QPushButton("Copy details")
        self.copy.clicked.connect(self._copy)
        close = QPushButton("Close")
        close.setObjectName("primary")
        close.setDefault(True)
        close.clicked.connect(self.accept)
        row = QHBoxLayout()
        row.addWidget(self.log, 1)
        row.addWidget(self.copy)
        row.addWidget(close)
        for part in (title, summary, hint):
            column.addWidget(part)
        column.addWidget(self.text, 1)
        column.addLayout(row)

    def _copy(self) -> None:
        QApplication.clipboard().setText(self.text.toPlainText())
        self.copy.setText("Copied")
