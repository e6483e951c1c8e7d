"""An embedding as a square of colours, and how like another it is."""

import numpy as np
from PyQt5.QtCore import QEvent, QPointF, QRectF, QSizeF, Qt
from PyQt5.QtGui import QPainter, QPen
from PyQt5.QtWidgets import QToolTip

from core.types import Embedding
from toolbox.widgets.plot import Plot

CAPTIONS = ("Similarity", "Alike", "")
"""What the number of the similarity is called, by the room there is."""


def as_square(vector: np.ndarray) -> np.ndarray:
    """The vector row by row in the smallest square that holds it, (side, side); NaN where nothing is left."""
    side = int(np.ceil(np.sqrt(max(len(vector), 1))))
    square = np.full(side * side, np.nan, np.float32)
    square[: len(vector)] = vector
    return square.reshape(side, side)


class EmbeddingView(Plot):
    """One voice's embedding as a heat map, or two side by side with their cosine similarity below."""

    def __init__(self, parent=None):
        super().__init__("Record or load a voice to see its fingerprint here", parent)
        self.setAccessibleName("Embedding")
        self.setMinimumSize(150, 150)
        self.embedding: Embedding | None = None
        self.other: Embedding | None = None
        self.usual: tuple[float, float] | None = None
        self.title = self.other_title = ""
        self._hover: QPointF | None = None

    def show_embedding(
        self,
        embedding: Embedding | None,
        title: str = "",
        other: Embedding | None = None,
        other_title: str = "",
        usual: tuple[float, float] | None = None,
    ) -> None:
        """Shows one embedding, or two of the same encoder; None clears. Another encoder's `other` is left out.

        usual: the mean similarity of two people's utterances and of one person's, marked beside that of the two.
        """
        if other is not None and embedding is not None and other.encoder != embedding.encoder:
            other = None
        self.embedding, self.title = embedding, title
        self.other, self.other_title = (other, other_title) if embedding is not None else (None, "")
        self.usual = usual if self.other is not None else None
        self.setToolTip(
            f"Two utterances of one person are usually {usual[1]:.2f} alike, two people's {usual[0]:.2f}."
            if self.usual
            else ""
        )
        self.redraw()

    def clear(self) -> None:
        self.show_embedding(None)

    def is_empty(self) -> bool:
        return self.embedding is None

    def similarity(self) -> float | None:
        """The cosine similarity of the two shown, or None."""
        return self.embedding.similarity(self.other) if self.embedding and self.other else None

    # --- places -------------------------------------------------------------------------------------------------

    def _shown(self) -> list[Embedding]:
        return [e for e in (self.embedding, self.other) if e is not None]

    def squares(self) -> list[QRectF]:
        """Where the heat maps are: one, or two beside or above each other, whichever makes them larger."""
        line, n = self.line_height(), len(self._shown())
        cells, ratio = as_square(self.embedding.vector).shape[0], self.devicePixelRatioF()
        room = QRectF(10, line + 14, self.width() - 20, self.height() - line - 22)
        if self._bar_below():
            room.setHeight(room.height() - line - 18)
        else:
            room.setWidth(room.width() - self.text_width("0.00") - 24)
        if n == 2:
            room.setHeight(room.height() - line - 18)
        beside = min((room.width() - (n - 1) * 12) / max(n, 1), room.height())
        above = min(room.width(), (room.height() - (n - 1) * 8) / max(n, 1))
        side = max(np.floor(max(beside, above, 8) * ratio / cells), 1) * cells / ratio  # cells of whole pixels
        step = QPointF(side + 12, 0) if beside >= above else QPointF(0, side + 8)
        whole = QRectF(QPointF(0, 0), step * (n - 1) + QPointF(side, side))
        start = room.center() - whole.center()
        start = QPointF(round(max(start.x(), room.left())), round(max(start.y(), room.top())))
        return [QRectF(start + step * k, QSizeF(side, side)) for k in range(n)]

    def _bar_below(self) -> bool:
        """A narrow view has its colour bar below."""
        return self.width() < 240

    def limits(self) -> tuple[float, float]:
        """The values at the two ends of the colours, for both heat maps. From 0 where nothing is negative."""
        values = np.concatenate([e.vector for e in self._shown()])
        low, high = min(float(values.min()), 0.0), float(values.max())
        return low, high if high > low else low + 1.0

    # --- drawing ------------------------------------------------------------------------------------------------

    def paint_still(self, painter: QPainter) -> None:
        squares, (low, high) = self.squares(), self.limits()
        for box, embedding in zip(squares, self._shown(), strict=True):
            levels = (as_square(embedding.vector) - low) / (high - low)
            painter.setRenderHint(QPainter.SmoothPixmapTransform, False)
            painter.drawImage(box, self.heat_image(levels))
            painter.setRenderHint(QPainter.SmoothPixmapTransform, True)
            painter.setPen(QPen(self.colour("faint"), 1))
            painter.setBrush(Qt.NoBrush)
            painter.drawRect(box)
        self._paint_bar(painter, squares, low, high)
        if self.other is not None:
            self._paint_similarity(painter, squares)

    def _paint_bar(self, painter: QPainter, squares: list[QRectF], low: float, high: float) -> None:
        first, last, line = squares[0], squares[-1], self.line_height()
        low_text, high_text = f"{low:.2g}", f"{high:.2f}"
        if self._bar_below():
            y = last.bottom() + 8
            start, end = self._sides(squares)
            left = start + self.text_width(low_text) + 6
            bar = QRectF(left, y + line / 2 - 4, end - self.text_width(high_text) - 6 - left, 8)
            painter.drawImage(bar, self.heat_image(np.linspace(0, 1, 256)[None]))
            painter.setPen(self.colour("faint"))
            painter.drawRect(bar)
            painter.setPen(self.colour("muted"))
            row = QRectF(start, y, end - start, line)
            painter.drawText(row, Qt.AlignLeft | Qt.AlignVCenter, low_text)
            painter.drawText(row, Qt.AlignRight | Qt.AlignVCenter, high_text)
            return
        bar = QRectF(last.right() + 10, first.top(), 8, last.bottom() - first.top())
        labels = [(0.0, low_text), (0.5, f"{(low + high) / 2:.2f}"), (1.0, high_text)]
        self.paint_colour_bar(painter, bar, labels if bar.height() > 3.5 * line else labels[::2])

    def _paint_similarity(self, painter: QPainter, squares: list[QRectF]) -> None:
        """A bar from 0 to 1, filled as far as the two are alike, with a notch where two people and where one person
        usually are."""
        value, line = self.similarity(), self.line_height()
        y, (left, right) = self.similarity_top(), self._sides(squares)
        painter.setPen(self.colour("muted"))
        caption = self.caption(right - left)
        painter.drawText(QRectF(left, y, right - left, line), Qt.AlignLeft | Qt.AlignVCenter, caption)
        painter.setPen(self.colour("text"))
        painter.setFont(self.sized_font(bold=True))
        painter.drawText(QRectF(left, y, right - left, line), Qt.AlignRight | Qt.AlignVCenter, f"{value:.2f}")
        painter.setFont(self.sized_font())
        track = QRectF(left, y + line + 3, right - left, 5)
        painter.setPen(Qt.NoPen)
        painter.setBrush(self.colour("faint"))
        painter.drawRoundedRect(track, 2.5, 2.5)
        painter.setBrush(self.colour("accent"))
        track.setWidth(max(track.width() * min(max(value, 0.0), 1.0), 5))
        painter.drawRoundedRect(track, 2.5, 2.5)
        painter.setBrush(self.colour("muted"))
        for place in self.notches(right - left):
            painter.drawRect(QRectF(left + place - 0.75, y + line, 1.5, 11))

    def similarity_top(self) -> float:
        """Where the similarity begins, below the heat maps."""
        return self.squares()[-1].bottom() + 8 + (self.line_height() + 8 if self._bar_below() else 0)

    def _sides(self, squares: list[QRectF]) -> tuple[float, float]:
        """The left and right ends of what is below the heat maps: theirs, or the view's where they cut words short."""
        left, right = squares[0].left(), squares[-1].right()
        return (left, right) if self.caption(right - left) == CAPTIONS[0] else (10.0, self.width() - 10.0)

    def notches(self, width: float) -> list[float]:
        """Where on a bar so wide the usual similarities are."""
        return [width * value for value in self.usual or ()]

    def caption(self, width: float) -> str:
        """What stands before the number of the similarity: the longest that leaves the number its room."""
        return next((word for word in CAPTIONS if self.text_width(f"{word}  0.000") < width), "")

    def paint_moving(self, painter: QPainter) -> None:
        title = self.title + (f" and {self.other_title}" if self.other is not None and self.other_title else "")
        note = ""
        cell = self._cell()
        if cell is not None:
            number, value, box = cell
            note = f"{number + 1}: {value:.3f}"
            painter.setPen(QPen(self.colour("accent"), 2))
            painter.setBrush(Qt.NoBrush)
            painter.drawRect(box)
        self.paint_title(painter, title, note, top=4)

    def _cell(self) -> tuple[int, float, QRectF] | None:
        """The number, value and place of the cell below the mouse."""
        for box, embedding in zip(self.squares(), self._shown(), strict=True):
            if self._hover is not None and box.contains(self._hover):
                square = as_square(embedding.vector)
                side = box.width() / len(square)
                column = min(int((self._hover.x() - box.left()) / side), len(square) - 1)
                row = min(int((self._hover.y() - box.top()) / side), len(square) - 1)
                if row * len(square) + column < len(embedding.vector):
                    place = QRectF(box.left() + column * side, box.top() + row * side, side, side)
                    return row * len(square) + column, float(square[row, column]), place
        return None

    def event(self, event) -> bool:
        """What is usual is said over the bar alone, and hides no heat map."""
        if event.type() == QEvent.ToolTip and (not self.usual or event.pos().y() < self.similarity_top()):
            QToolTip.hideText()
            return True
        return super().event(event)

    def mouseMoveEvent(self, event) -> None:
        self._hover = QPointF(event.localPos())
        self.update()

    def leaveEvent(self, event) -> None:
        self._hover = None
        self.update()
