"""An embedding as a square of colours, and how like another it is."""

import numpy as np
from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QPainter, QPen

from core.types import Embedding
from toolbox.widgets.plot import Plot


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
        self.title = self.other_title = ""
        self._hover: QPointF | None = None

    def show_embedding(
        self, embedding: Embedding | None, title: str = "", other: Embedding | None = None, other_title: str = ""
    ) -> None:
        """Shows one embedding, or two of the same encoder; None clears. Another encoder's `other` is left out."""
        if other is not None and embedding is not None and other.encoder != embedding.encoder:
            other = None
        self.embedding, self.title = embedding, title
        self.other, self.other_title = (other, other_title) if embedding is not None else (None, "")
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
        """Where the heat maps are: one, or two with a gap."""
        line, n = self.line_height(), len(self._shown())
        top, bottom = 12 + line, (2 * line + 12 if n == 2 else 8)
        room_x = (self.width() - 24 - self._bar_width() - (n - 1) * 14) / max(n, 1)
        side = max(min(room_x, self.height() - top - bottom), 8)
        cells = as_square(self.embedding.vector).shape[0]
        ratio = self.devicePixelRatioF()
        side = max(np.floor(side * ratio / cells), 1) * cells / ratio  # whole pixels per cell: every cell equal
        left = 12 + max((self.width() - 24 - self._bar_width() - n * side - (n - 1) * 14) / 2, 0)
        top += max((self.height() - top - bottom - side) / 2, 2)
        return [QRectF(round(left + k * (side + 14)), round(top), side, side) for k in range(n)]

    def _bar_width(self) -> float:
        return self.text_width("−0.00") + 25

    def limits(self) -> tuple[float, float]:
        """The values at the two ends of the colours, for both heat maps. From 0 where nothing is negative."""
        values = np.concatenate([e.vector for e in self._shown()])
        low, high = min(float(values.min()), 0.0), float(values.max())
        return low, high if high > low else low + 1.0

    # --- drawing ------------------------------------------------------------------------------------------------

    def paint_still(self, painter: QPainter) -> None:
        squares, (low, high), line = self.squares(), self.limits(), self.line_height()
        for box, embedding in zip(squares, self._shown(), strict=True):
            levels = (as_square(embedding.vector) - low) / (high - low)
            painter.setRenderHint(QPainter.SmoothPixmapTransform, False)
            painter.drawImage(box, self.heat_image(levels))
            painter.setRenderHint(QPainter.SmoothPixmapTransform, True)
            painter.setPen(QPen(self.colour("faint"), 1))
            painter.setBrush(Qt.NoBrush)
            painter.drawRect(box)
        last = squares[-1]
        bar = QRectF(last.right() + 10, last.top(), 8, last.height())
        middle = (low + high) / 2
        labels = [(0.0, f"{low:.2g}"), (0.5, f"{middle:.2f}"), (1.0, f"{high:.2f}")]
        self.paint_colour_bar(painter, bar, labels if last.height() > 3.5 * line else labels[::2])
        if self.other is not None:
            self._paint_similarity(painter, squares)

    def _paint_similarity(self, painter: QPainter, squares: list[QRectF]) -> None:
        """A bar from 0 to 1, filled as far as the two are alike."""
        value, line = self.similarity(), self.line_height()
        left, right, y = squares[0].left(), squares[-1].right(), squares[0].bottom() + 8
        painter.setPen(self.colour("muted"))
        painter.drawText(QRectF(left, y, right - left, line), Qt.AlignLeft | Qt.AlignVCenter, "Similarity")
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

    def mouseMoveEvent(self, event) -> None:
        self._hover = QPointF(event.localPos())
        self.update()

    def leaveEvent(self, event) -> None:
        self._hover = None
        self.update()
