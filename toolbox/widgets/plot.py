"""What every plot does: a still picture kept at the screen's own resolution, a theme, and words when it is empty."""

import numpy as np
from PyQt5.QtCore import QPointF, QRectF, QSize, Qt
from PyQt5.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPixmap
from PyQt5.QtWidgets import QSizePolicy, QWidget

from toolbox.widgets.plot_theme import coloured, theme


class Plot(QWidget):
    """A widget drawn in two layers: `paint_still` is kept until `redraw`, `paint_moving` is drawn at every update.

    Plain painting: matplotlib costs a second of start-up and 20 ms a redraw, a playhead at 30 frames a second has
    neither. Everything is drawn in the screen's own pixels, so it is crisp at any scale.
    """

    def __init__(self, empty_text: str, parent: QWidget | None = None):
        super().__init__(parent)
        self.theme = theme(False)
        self.empty_text = empty_text
        self._still: QPixmap | None = None
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setAttribute(Qt.WA_OpaquePaintEvent)

    def apply_theme(self, dark: bool) -> None:
        if dark != self.theme.dark:
            self.theme = theme(dark)
            self.redraw()

    def redraw(self) -> None:
        """Draws the still layer anew at the next chance."""
        self._still = None
        self.update()

    def is_empty(self) -> bool:
        raise NotImplementedError

    def paint_still(self, painter: QPainter) -> None:
        """What changes seldom."""

    def paint_moving(self, painter: QPainter) -> None:
        """What changes often, drawn over the still layer."""

    def paintEvent(self, event) -> None:
        ratio = self.devicePixelRatioF()
        # One pixel more: at a scale of 1.04 the last column of the screen lies beyond what the size rounds to.
        size = QSize(int(self.width() * ratio) + 1, int(self.height() * ratio) + 1)
        if self._still is None or self._still.size() != size:
            self._still = QPixmap(size)
            self._still.setDevicePixelRatio(ratio)
            self._still.fill(QColor(self.theme.background))
            painter = self._prepared(QPainter(self._still))
            if self.is_empty():
                self.paint_empty(painter)
            else:
                self.paint_still(painter)
            painter.end()
        painter = self._prepared(QPainter(self))
        painter.drawPixmap(QPointF(0, 0), self._still)
        if not self.is_empty():
            self.paint_moving(painter)
        painter.end()

    def resizeEvent(self, event) -> None:
        self._still = None
        super().resizeEvent(event)

    def _prepared(self, painter: QPainter) -> QPainter:
        painter.setRenderHints(QPainter.Antialiasing | QPainter.TextAntialiasing | QPainter.SmoothPixmapTransform)
        painter.setFont(self.sized_font())
        return painter

    def paint_empty(self, painter: QPainter) -> None:
        painter.setPen(QColor(self.theme.muted))
        painter.setFont(self.sized_font(1.05))
        box = QRectF(self.rect()).adjusted(16, 16, -16, -16)
        painter.drawText(box, Qt.AlignCenter | Qt.TextWordWrap, self.empty_text)

    def sized_font(self, scale: float = 0.92, bold: bool = False) -> QFont:
        """The application's font, a little smaller by default; bold where asked."""
        font = QFont(self.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * scale)
        else:
            font.setPixelSize(max(8, round(font.pixelSize() * scale)))
        if bold:
            font.setWeight(QFont.DemiBold)
        return font

    def colour(self, name: str, alpha: int = 255) -> QColor:
        """A colour of the theme by its field's name."""
        colour = QColor(getattr(self.theme, name))
        colour.setAlpha(alpha)
        return colour

    def text_width(self, text: str, font: QFont | None = None) -> float:
        return QFontMetricsF(font or self.sized_font()).horizontalAdvance(text)

    def line_height(self) -> float:
        return QFontMetricsF(self.sized_font()).height()

    def paint_title(self, painter: QPainter, title: str, note: str = "", top: float = 6) -> None:
        """The title at the left, a muted note at the right, in one line."""
        height = self.line_height() + 2
        note_width = self.text_width(note) + 8 if note else 0
        painter.setPen(self.colour("muted"))
        place = QRectF(self.width() - 12 - note_width, top, note_width, height)
        painter.drawText(place, Qt.AlignRight | Qt.AlignVCenter, note)
        bold = self.sized_font(0.97, bold=True)
        painter.setFont(bold)
        painter.setPen(self.colour("text"))
        room = self.width() - 30 - note_width
        shown = QFontMetricsF(bold).elidedText(title, Qt.ElideRight, max(room, 0))
        painter.drawText(QRectF(12, top, max(room, 0), height), Qt.AlignLeft | Qt.AlignVCenter, shown)
        painter.setFont(self.sized_font())

    def heat_image(self, levels) -> QImage:
        """Levels in [0, 1], (height, width), as a picture in the theme's colours."""
        pixels = coloured(levels, self.theme.dark)
        height, width = pixels.shape
        return QImage(pixels.data, width, height, 4 * width, QImage.Format_RGB32).copy()

    def paint_colour_bar(self, painter: QPainter, box: QRectF, labels: list[tuple[float, str]]) -> None:
        """A colour scale from bottom (0) to top (1), with labels at their levels to its right."""
        painter.drawImage(box, self.heat_image(np.linspace(1, 0, 256)[:, None]))
        painter.setPen(self.colour("faint"))
        painter.drawRect(box)
        painter.setPen(self.colour("muted"))
        half = self.line_height() / 2
        for level, text in labels:
            y = box.bottom() - level * box.height()
            y = min(max(y, box.top() + half - 3), box.bottom() - half + 3)
            painter.drawText(QRectF(box.right() + 5, y - half, 90, 2 * half), Qt.AlignLeft | Qt.AlignVCenter, text)
