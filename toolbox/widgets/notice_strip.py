"""Messages above the panels: what happened, what to do next, and a button where one helps."""

from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from toolbox.notices import Notice
from toolbox.theme import Theme
from toolbox.widgets.parts import icon_button

LONGEST = 3  # notices shown at once
INFO_SECONDS = 8
LONGEST_MESSAGE = 200  # characters; the rest is in the tooltip and in the log


class NoticeRow(QFrame):
    """One notice."""

    def __init__(self, theme: Theme, notice: Notice, parent: QWidget | None = None):
        super().__init__(parent)
        self.notice = notice
        self.setObjectName("notice")
        self.setProperty("level", notice.level)
        self.setAccessibleName(f"{notice.level}: {notice.message} {notice.hint}")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 2, 6, 2)
        row.setSpacing(10)
        colour = {"info": "accent", "warning": "warning", "error": "danger"}[notice.level]
        self._picture = QLabel()
        self._picture.setPixmap(theme.pixmap(notice.level, colour, 20))
        theme.changed.connect(self._picture_again(theme, notice.level, colour))
        whole = f"{' '.join(notice.message.split())}  {notice.hint}".strip()
        self.text = QLabel(f"{' '.join(notice.message[:LONGEST_MESSAGE].split())}…  {notice.hint}")
        if len(notice.message) <= LONGEST_MESSAGE:
            self.text.setText(whole)
        self.text.setToolTip(notice.message if len(notice.message) > LONGEST_MESSAGE else "")
        self.text.setTextFormat(Qt.PlainText)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextSelectableByMouse)
        row.addWidget(self._picture, 0, Qt.AlignVCenter)
        row.addWidget(self.text, 1)
        self.button: QPushButton | None = None
        if notice.action is not None:
            self.button = QPushButton(notice.action_label)
            self.button.setFocusPolicy(Qt.TabFocus)
            row.addWidget(self.button)
        self.close_button = icon_button(theme, "close", "Dismiss this message", colour="muted")
        row.addWidget(self.close_button, 0, Qt.AlignVCenter)

    def _picture_again(self, theme: Theme, name: str, colour: str):
        label = self._picture

        def draw(dark: bool) -> None:
            try:
                label.setPixmap(theme.pixmap(name, colour, 20))
            except RuntimeError:
                theme.changed.disconnect(draw)

        return draw


class NoticeStrip(QWidget):
    """The latest notices, newest first; gone when there are none."""

    def __init__(self, theme: Theme, parent: QWidget | None = None):
        super().__init__(parent)
        self._theme = theme
        self.rows: list[NoticeRow] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.setAccessibleName("Messages")
        self.hide()

    def show_notice(self, notice: Notice) -> None:
        """Shows a notice; it takes the place of one of the same key, or of the very same one."""
        for row in list(self.rows):
            if (notice.key and row.notice.key == notice.key) or (
                (row.notice.message, row.notice.hint) == (notice.message, notice.hint)
            ):
                self._drop(row)
        row = NoticeRow(self._theme, notice)
        row.close_button.clicked.connect(lambda: self._drop(row))
        if row.button is not None:
            row.button.clicked.connect(lambda: self._act(row))
        self.rows.insert(0, row)
        self._column.insertWidget(0, row)
        for old in self.rows[LONGEST:]:
            self._drop(old)
        if notice.level == "info":
            timer = QTimer(row, singleShot=True, interval=1000 * INFO_SECONDS)
            timer.timeout.connect(lambda: self._drop(row))
            timer.start()
        self.show()

    def withdraw(self, key: str) -> None:
        for row in list(self.rows):
            if key and row.notice.key == key:
                self._drop(row)

    @property
    def texts(self) -> list[str]:
        """What is shown, newest first."""
        return [row.text.text() for row in self.rows]

    def _act(self, row: NoticeRow) -> None:
        self._drop(row)
        row.notice.action()

    def _drop(self, row: NoticeRow) -> None:
        if row in self.rows:
            self.rows.remove(row)
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
            self.setVisible(bool(self.rows))
