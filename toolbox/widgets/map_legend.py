"""Who has which colour on the map: a column that scrolls when there are more speakers than lines."""

from PyQt5.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QFontMetricsF, QPainter
from PyQt5.QtWidgets import QWidget


class MapLegend(QWidget):
    """A child of the projection view, at its right edge. Pointing at a speaker lights up that speaker's points."""

    speaker_hovered = pyqtSignal(object)  # name or None

    WIDEST = 190
    ROOM = 360  # a view narrower than this has no legend; hovering tells the speaker

    def __init__(self, view):
        super().__init__(view)
        self.view = view
        self.hovered: str | None = None
        self._first = 0
        self.setMouseTracking(True)
        self.hide()

    def speakers(self) -> dict[str, int]:
        """Who is on the map, in order of appearance, with the number of their points."""
        counts: dict[str, int] = {}
        for id in self.view.drawn_ids():
            speaker = self.view.workspace.utterances[id].speaker
            counts[speaker] = counts.get(speaker, 0) + 1
        return counts

    def taken(self) -> int:
        """Pixels of the view's width that the legend needs; 0 when it is not there."""
        return 0 if self.isHidden() else self.width()

    def row_height(self) -> int:
        return int(self.view.line_height()) + 5

    def rows(self) -> int:
        """How many lines fit."""
        return max(self.height() // self.row_height(), 1)

    def refresh(self) -> None:
        """As wide as the names need, hidden where there is nobody or no room. The view calls it before it draws."""
        speakers = self.speakers()
        names = [self.view.text_width(name) for name in speakers]
        wide = int(min(max(names, default=0) + 34, self.WIDEST, self.view.width() * 0.3))
        top = int(self.view.line_height()) + 12
        self.setGeometry(self.view.width() - wide - 4, top, wide, max(self.view.height() - top - 30, 10))
        self.setVisible(bool(speakers) and self.view.width() >= self.ROOM)
        self._first = min(self._first, max(len(speakers) - self.rows() + 1, 0))
        if self.hovered is not None and self.hovered not in speakers:
            self._set_hovered(None)
        self.update()

    def _window(self) -> tuple[list[tuple[str, int]], int]:
        """The speakers on the visible lines, and how many come after them."""
        everyone = list(self.speakers().items())
        rows = self.rows()
        if len(everyone) <= rows:
            self._first = 0
            return everyone, 0
        shown = everyone[self._first : self._first + rows - 1]
        return shown, len(everyone) - self._first - len(shown)

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.Antialiasing | QPainter.TextAntialiasing)
        painter.setFont(self.view.sized_font())
        metrics, height = QFontMetricsF(painter.font()), self.row_height()
        shown, more = self._window()
        for row, (name, _count) in enumerate(shown):
            middle = row * height + height / 2
            painter.setPen(Qt.NoPen)
            if name == self.hovered:
                painter.setBrush(self.view.colour("faint"))
                painter.drawRoundedRect(QRectF(0, row * height, self.width(), height), 4, 4)
            painter.setBrush(QColor(self.view.workspace.speaker_colour(name)))
            painter.drawEllipse(QPointF(11, middle), 4.6, 4.6)
            painter.setPen(self.view.colour("text"))
            room = self.width() - 26
            text = metrics.elidedText(name, Qt.ElideRight, room)
            painter.drawText(QRectF(21, row * height, room + 2, height), Qt.AlignLeft | Qt.AlignVCenter, text)
        if more or self._first:
            text = f"+ {more} more" if more else f"{self._first} above"
            painter.setPen(self.view.colour("muted"))
            place = QRectF(21, len(shown) * height, self.width() - 22, height)
            painter.drawText(place, Qt.AlignLeft | Qt.AlignVCenter, text)
        painter.end()

    def _set_hovered(self, name: str | None) -> None:
        if name != self.hovered:
            self.hovered = name
            self.speaker_hovered.emit(name)
            self.view.redraw()
            self.update()

    def _at(self, y: float) -> str | None:
        shown, _ = self._window()
        row = int(y // self.row_height())
        return shown[row][0] if 0 <= row < len(shown) else None

    def mouseMoveEvent(self, event) -> None:
        self._set_hovered(self._at(event.localPos().y()))

    def mousePressEvent(self, event) -> None:
        """A click marks the speaker's first utterance."""
        name = self._at(event.localPos().y())
        for id in self.view.drawn_ids():
            if self.view.workspace.utterances[id].speaker == name:
                self.view.utterance_selected.emit(id)
                return

    def leaveEvent(self, event) -> None:
        self._set_hovered(None)

    def wheelEvent(self, event) -> None:
        last = max(len(self.speakers()) - self.rows() + 1, 0)
        self._first = min(max(self._first - (1 if event.angleDelta().y() > 0 else -1) * 2, 0), last)
        self._set_hovered(self._at(event.position().y()))
        self.update()
        event.accept()
