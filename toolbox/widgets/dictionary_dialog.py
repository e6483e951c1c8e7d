"""Where a person says how words are to be said: a small editor of one text file."""

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QColor, QTextCharFormat, QTextCursor
from PyQt5.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QTextEdit,
    QWidget,
)

from core.errors import TextError
from core.text.dictionary import DictionaryError, key_of, parse_dictionary
from toolbox.theme import Theme
from toolbox.widgets.parts import dialog_column

EXPLANATION = (
    "One word a line, and how it is said: in plain letters, hyphens between the syllables and the stressed one in "
    "capitals, or in IPA between slashes."
)


class DictionaryDialog(QDialog):
    """Emits what to hear and what to save; `on_saved` closes it."""

    hear_wanted = pyqtSignal(str, object)  # a word, and the one entry that says how
    save_wanted = pyqtSignal(str)

    def __init__(self, text: str, word: str, has_voice: bool, theme: Theme, parent: QWidget | None = None):
        super().__init__(parent)
        self._theme, self._has_voice = theme, has_voice
        column = dialog_column(self, "Pronunciations", 520, 400)
        explanation = QLabel(EXPLANATION)
        explanation.setWordWrap(True)
        self.text = QPlainTextEdit(text)
        self.text.setAccessibleName("Pronunciations, one a line")
        self.text.setTabChangesFocus(True)
        self.state = QLabel()
        self.state.setObjectName("muted")
        self.state.setTextFormat(Qt.PlainText)
        self.state.setWordWrap(True)
        self.state.setMinimumHeight(2 * self.state.fontMetrics().lineSpacing())
        self.state.setAlignment(Qt.AlignTop)
        self.hear = QPushButton("Hear it")
        self.hear.setToolTip("Say the word of this line" if has_voice else "Record or load a voice first")
        theme.set_icon(self.hear, "play")
        cancel = QPushButton("Cancel")
        self.save = QPushButton("Save")
        self.save.setObjectName("primary")
        for button in (self.hear, cancel, self.save):
            button.setAutoDefault(False)
        row = QHBoxLayout()
        row.addWidget(self.hear)
        row.addStretch(1)
        row.addWidget(cancel)
        row.addWidget(self.save)
        column.addWidget(explanation)
        column.addWidget(self.text, 1)
        column.addWidget(self.state)
        column.addLayout(row)
        self.text.textChanged.connect(self._check)
        self.text.cursorPositionChanged.connect(self._check_line)
        self.hear.clicked.connect(lambda: self.hear_wanted.emit(*self._entry()))
        cancel.clicked.connect(self.reject)
        self.save.clicked.connect(lambda: self.save_wanted.emit(self.text.toPlainText()))
        self._go_to(word)
        self._check()
        self.text.setFocus()

    def _go_to(self, word: str) -> None:
        """Puts the cursor after the entry of a word; begins one where there is none."""
        document, cursor = self.text.document(), self.text.textCursor()
        lines = self.text.toPlainText().splitlines()
        starts = [key_of(line.replace("\t", "=").split("=")[0]) for line in lines]
        if word and key_of(word) in starts:
            cursor.setPosition(document.findBlockByNumber(starts.index(key_of(word))).position())
            cursor.movePosition(QTextCursor.EndOfBlock)
        else:
            cursor.movePosition(QTextCursor.End)
            if word:
                cursor.insertText(("\n" if cursor.columnNumber() else "") + f"{word} = ")
        self.text.setTextCursor(cursor)
        document.setModified(False)

    def _check(self) -> None:
        """Says how many entries there are, or which line cannot be read, and why."""
        marked = []
        try:
            n = len(parse_dictionary(self.text.toPlainText()))
            self.state.setText(f"{n} entr{'y' if n == 1 else 'ies'}" if n else "No entries yet")
        except DictionaryError as error:
            self.state.setText(str(error))
            selection = QTextEdit.ExtraSelection()
            selection.cursor = QTextCursor(self.text.document().findBlockByNumber(error.line - 1))
            selection.cursor.select(QTextCursor.LineUnderCursor)
            selection.format.setUnderlineStyle(QTextCharFormat.WaveUnderline)
            selection.format.setUnderlineColor(QColor(self._theme.colours["danger"]))
            marked.append(selection)
        self.text.setExtraSelections(marked)
        self.save.setEnabled(not marked)
        self._check_line()

    def _entry(self) -> tuple[str, tuple] | None:
        """The word of the line where the cursor is, and its entry alone; None where that is none."""
        try:
            entries = parse_dictionary(self.text.textCursor().block().text())
        except TextError:
            return None
        return (entries[0][0], entries) if entries else None

    def _check_line(self) -> None:
        self.hear.setEnabled(self._has_voice and self._entry() is not None)

    def on_saved(self, _=None) -> None:
        self.accept()

    def on_save_failed(self, error: BaseException) -> None:
        self.state.setText(str(error))

    def reject(self) -> None:
        """Closes, once it is sure that nothing typed is wanted."""
        if not self.text.document().isModified():
            super().reject()
            return
        box = QMessageBox(QMessageBox.Question, "Pronunciations", "Save what you changed?", parent=self)
        box.setStandardButtons(QMessageBox.Save | QMessageBox.Discard | QMessageBox.Cancel)
        box.button(QMessageBox.Save).setEnabled(self.save.isEnabled())
        box.setAttribute(Qt.WA_DeleteOnClose)
        box.finished.connect(self._on_answer)
        box.open()

    def _on_answer(self, answer: int) -> None:
        if answer == QMessageBox.Save:
            self.save.click()
        elif answer == QMessageBox.Discard:
            super().reject()
