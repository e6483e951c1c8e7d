"""The words above a picture of sound: where each is written, which one is marked, and what is said of it."""

from itertools import pairwise
from typing import TYPE_CHECKING

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QFontMetricsF, QPainter, QPen

from core.types import Alignment

if TYPE_CHECKING:
    from toolbox.widgets.spectrogram_view import SpectrogramView

SLIVER = 14  # pixels for each word, below which words are not written


class WordRow:
    """One row of words, or two taking turns where one has no room. `marked` is the word that is pointed at."""

    def __init__(self, view: "SpectrogramView"):
        self._view = view
        self.alignment: Alignment | None = None
        self.marked: int | None = None
        self._rows_key: tuple | None = None
        self._rows = 0

    @property
    def words(self) -> tuple[tuple[str, float, float], ...]:
        return self.alignment.words if self.alignment is not None else ()

    def show(self, alignment: Alignment | None) -> None:
        if alignment is not self.alignment:
            self.alignment, self.marked = alignment, None

    def heard_at(self, seconds: float) -> str:
        """The word that is heard then, or ""."""
        return next((text for text, start, end in self.words if start <= seconds < end), "")

    def describe(self, index: int, phonemes: bool = True) -> str:
        """The word, its phonemes, and when it is heard."""
        text, start, end = self.words[index]
        facts = [text, self._phonemes(start, end) if phonemes else "", f"{start:.2f}–{end:.2f} s"]
        return " · ".join(fact for fact in facts if fact)

    def _phonemes(self, start: float, end: float) -> str:
        a = self.alignment
        return " ".join(
            symbol
            for symbol, begin, stop in zip(a.symbols, a.starts, a.ends, strict=True)
            if start <= (begin + stop) / 2 < end and any(c.isalpha() for c in symbol)  # pauses have no letters
        )

    # --- places -------------------------------------------------------------------------------------------------

    def rows(self, span: tuple[float, float], width: float) -> int:
        """How many rows the words need: two, taking turns, where they would not fit in one; none where all are slivers.

        span: the seconds shown, over `width` pixels. Every place on the screen depends on the answer, so it is worked
        out once for each text, span and width.
        """
        key = (self.alignment, span, width)
        if key != self._rows_key:
            self._rows_key, self._rows = key, self._count_rows(span, width)
        return self._rows

    def _count_rows(self, span: tuple[float, float], width: float) -> int:
        shown = [w for w in self.words if w[2] >= span[0] and w[1] <= span[1]]
        if len(shown) * SLIVER > width:
            return 0
        metrics, scale = QFontMetricsF(self._view.sized_font(0.84)), width / (span[1] - span[0])
        for (text, start, _), (_, following, _) in pairwise(shown):
            if metrics.horizontalAdvance(text) > (following - start) * scale - 3:
                return 2
        return min(len(shown), 1)

    def labels(self) -> list[tuple[int, QRectF, str]]:
        """Number, place and text of each word that is in view: shortened where the next in its row leaves no room."""
        view, box, words = self._view, self._view.plot_box(), self.words
        line, rows, found = view.line_height() - 2, view.word_rows(), []
        metrics = QFontMetricsF(view.sized_font(0.84))
        for k, (text, start, end) in enumerate(words):
            left, right = view.time_to_x(start), view.time_to_x(end)
            if not rows or right < box.left() or left > box.right():
                continue
            left = max(left, box.left())
            limit = view.time_to_x(words[k + rows][1]) if k + rows < len(words) else box.right() + 10
            limit = max(min(limit, box.right() + 10), left)
            shown = metrics.elidedText(text, Qt.ElideRight, max(limit - left - 4, 0))
            shown = shown if len(shown) > 2 or shown == text else ""
            width = min(max(metrics.horizontalAdvance(shown) + 4, right - left), limit - left)
            row = (k + 1) % rows  # 0 is next to the picture
            found.append((k, QRectF(left, box.top() - (row + 1) * line - 3, width, line), shown))
        return found

    def at(self, point: QPointF) -> int | None:
        """The number of the word that is written there."""
        return next((k for k, box, _ in self.labels() if box.contains(point)), None)

    # --- drawing ------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter) -> None:
        """Each word from where it begins, with a line down to the picture."""
        view, top = self._view, self._view.plot_box().top()
        painter.setFont(view.sized_font(0.84))
        for _, box, text in self.labels():
            painter.setPen(QPen(view.colour("text", 90), 1))
            painter.drawLine(QPointF(box.left() + 0.5, box.bottom() - 1), QPointF(box.left() + 0.5, top - 1))
            painter.setPen(view.colour("text"))
            painter.drawText(box.adjusted(1, 0, 4, 0), Qt.AlignLeft | Qt.AlignVCenter, text)
        painter.setFont(view.sized_font())

    def paint_mark(self, painter: QPainter) -> None:
        """The marked word: its name, and in the picture the time it takes."""
        if self.marked is None:
            return
        view, box, (_, start, end) = self._view, self._view.plot_box(), self.words[self.marked]
        left, right = max(view.time_to_x(start), box.left()), min(view.time_to_x(end), box.right())
        place = next((place for k, place, _ in self.labels() if k == self.marked), None)
        painter.setPen(Qt.NoPen)
        painter.setBrush(view.colour("accent", 70))
        if place is not None:
            painter.drawRoundedRect(place, 3, 3)
        if left < right:
            painter.setBrush(view.colour("accent", 40))
            painter.drawRect(QRectF(left, box.top(), right - left, box.height()))
            painter.setPen(QPen(view.colour("accent"), 1.4))
            for x in (left, right):
                painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
