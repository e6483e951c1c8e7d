"""The few pieces every panel is built from: a card, a flat icon button, an empty state."""

from PyQt5.QtCore import QSize, Qt
from PyQt5.QtGui import QFontMetrics
from PyQt5.QtWidgets import (
    QComboBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from toolbox.theme import Theme

GAP = 8
MARGIN = 12


class Card(QFrame):
    """A titled panel. `header` takes what stands right of the title, `body` what lies below."""

    def __init__(self, title: str, parent: QWidget | None = None):
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName(title)
        column = QVBoxLayout(self)
        column.setContentsMargins(MARGIN, MARGIN - 4, MARGIN, MARGIN)
        column.setSpacing(GAP)
        self.header = QHBoxLayout()
        self.header.setSpacing(2)
        self.title = QLabel(title)
        self.title.setObjectName("title")
        self.title.setMinimumHeight(30)
        self.header.addWidget(self.title, 1)
        column.addLayout(self.header)
        self.body = QVBoxLayout()
        self.body.setSpacing(GAP)
        column.addLayout(self.body, 1)


def icon_button(
    theme: Theme, icon: str, name: str, tip: str = "", flat: bool = True, colour: str = "text"
) -> QToolButton:
    """A button of an icon alone, with a spoken name and a tooltip. Clicking it leaves the keyboard where it was."""
    button = QToolButton()
    button.setObjectName("flat" if flat else "")
    button.setIconSize(QSize(18, 18))
    button.setAccessibleName(name)
    button.setToolTip(tip or name)
    button.setFocusPolicy(Qt.TabFocus)
    theme.set_icon(button, icon, colour)
    return button


class EmptyState(QWidget):
    """What a list says while it is empty: what it is for, and how it gets filled."""

    def __init__(self, theme: Theme, icon: str, title: str, hint: str, parent: QWidget | None = None):
        super().__init__(parent)
        self._theme, self._icon = theme, icon
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(4)
        self._picture = QLabel(alignment=Qt.AlignCenter)
        self.title = QLabel(title, alignment=Qt.AlignCenter)
        self.title.setObjectName("empty_title")
        self.hint = QLabel(hint, alignment=Qt.AlignCenter)
        self.hint.setObjectName("empty_hint")
        self.hint.setWordWrap(True)
        column.addStretch(1)
        column.addWidget(self._picture)
        column.addWidget(self.title)
        column.addWidget(self.hint)
        column.addStretch(1)
        theme.changed.connect(self.on_theme_changed)
        self.on_theme_changed()

    def on_theme_changed(self, dark: bool = False) -> None:
        self._picture.setPixmap(self._theme.pixmap(self._icon, "edge", 36))


class ElidedLabel(QLabel):
    """One line that ends in … where it is too long; the whole of it is the tooltip."""

    def __init__(self, text: str = "", parent: QWidget | None = None):
        super().__init__(parent)
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.setTextFormat(Qt.PlainText)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        self._whole = text
        self.setAccessibleName(text)
        self._elide()

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        shown = QFontMetrics(self.font()).elidedText(self._whole, Qt.ElideRight, max(self.width() - 2, 0))
        self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")


class Choice(QComboBox):
    """A drop-down that may be narrower than its longest entry, and does not change when one scrolls past it."""

    def __init__(self, name: str, tip: str = "", parent: QWidget | None = None):
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        self.setFocusPolicy(Qt.TabFocus)

    def wheelEvent(self, event) -> None:
        event.ignore()


def spoken_seconds(seconds: float) -> str:
    """3.2 s, or 1:04 from a minute on."""
    return f"{seconds:.1f} s" if seconds < 59.95 else f"{int(seconds + 0.5) // 60}:{int(seconds + 0.5) % 60:02d}"


def dialog_column(dialog: QDialog, title: str, width: int, height: int) -> QVBoxLayout:
    """The column of a dialog of its own, which is deleted when it is closed."""
    dialog.setWindowTitle(title)
    dialog.setAttribute(Qt.WA_DeleteOnClose)
    dialog.resize(width, height)
    column = QVBoxLayout(dialog)
    column.setContentsMargins(20, 16, 20, 16)
    column.setSpacing(10)
    return column
