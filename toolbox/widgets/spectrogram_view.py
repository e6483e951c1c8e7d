"""The mel spectrogram: time below, frequency at the left, words above, and a line where the sound is."""

import numpy as np
from PyQt5.QtCore import QEvent, QPointF, QRectF, QSizeF, Qt, pyqtSignal
from PyQt5.QtGui import QPainter, QPen, QPolygonF
from PyQt5.QtWidgets import QToolTip

from core.audio.mel import hz_to_mel, mel_to_hz
from core.types import Alignment, Mel
from toolbox.widgets.plot import Plot
from toolbox.widgets.plot_theme import ticks
from toolbox.widgets.word_row import WordRow

RANGE_DB = 70.0  # from the loudest spot down; what is quieter is drawn as silence
FREQUENCIES = (0, 250, 500, 1000, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 22000)


def decibels(mel: Mel) -> np.ndarray:
    """The mel in decibels below its own loudest spot, float32 (n_mels, n_frames), at most 0."""
    frames, form = mel.frames, mel.format
    if form.range is not None:
        low, high = form.range
        result = (frames - high) / max(high - low, 1e-9) * RANGE_DB
    elif form.compression == "log":
        result = frames * float(20 / np.log(10) / form.power)  # a numpy float would make it double, and slow
    elif form.compression == "db":
        result = frames / form.power
    else:
        result = 20 / form.power * np.log10(np.maximum(frames, max(form.floor, 1e-12)))
    return result - result.max(initial=-np.inf) if result.size else result


class SpectrogramView(Plot):
    """Shows one mel. Click or drag to hear from there; the wheel zooms in time, a double click shows all again.

    A click on a word above the picture asks for that word alone; with the keyboard, Left, Right and Return do the same.
    """

    seek_requested = pyqtSignal(float)  # seconds
    part_requested = pyqtSignal(float, float)  # the seconds from which and to which

    NARROW = 420  # pixels, below which the colour bar makes room for the picture

    def __init__(self, parent=None):
        super().__init__("Record or load a voice to see it here", parent)
        self.setAccessibleName("Spectrogram")
        self.setMinimumSize(220, 120)
        self.mel: Mel | None = None
        self.title = ""
        self.words = WordRow(self)
        self.playhead: float | None = None
        self._levels = np.zeros((0, 0), np.float32)
        self._span = (0.0, 1.0)  # seconds shown
        self._hover: QPointF | None = None
        self._seeking = False  # the mouse was pressed in the picture

    # --- what to show -------------------------------------------------------------------------------------------

    def show_mel(self, mel: Mel | None, title: str = "", alignment: Alignment | None = None) -> None:
        """Shows another sound; None clears. The same mel again keeps playhead and zoom."""
        if mel is not self.mel:
            self.playhead = None
            self.mel = mel if mel is not None and mel.n_frames else None
            if self.mel is not None:
                self._levels = 1 + decibels(self.mel) / RANGE_DB
                self._span = (0.0, self.mel.seconds)
        self.title = title
        self.words.show(alignment if self.mel is not None else None)
        self.setFocusPolicy(Qt.TabFocus if self.words.words else Qt.NoFocus)
        self.redraw()

    def clear(self) -> None:
        self.show_mel(None)

    def is_empty(self) -> bool:
        return self.mel is None

    def set_playhead(self, seconds: float | None) -> None:
        """Moves the line, redrawing only where it was and where it is."""
        if seconds == self.playhead or self.mel is None:
            return
        start, stop = self._span
        old, self.playhead = self.playhead, seconds
        if seconds is not None and stop - start < self.mel.seconds - 1e-6 and not start <= seconds <= stop:
            self._show_span(seconds, seconds + stop - start)  # turn the page
        for at in (old, seconds):
            if at is not None:
                self.update(QRectF(self.time_to_x(at) - 8, 0, 16, self.height()).toAlignedRect())

    # --- places -------------------------------------------------------------------------------------------------

    def plot_box(self) -> QRectF:
        """Where the picture is."""
        line = self.line_height()
        top = 16 + line + self.word_rows() * (line - 2)
        left, right = self._left(), self._right()
        size = QSizeF(max(self.width() - left - right, 10), max(self.height() - top - line - 12, 10))
        return QRectF(QPointF(left, round(top)), size)

    def _left(self) -> int:
        return round(self.text_width("500 Hz") + 14)

    def _right(self) -> int:
        return round(self.text_width("−60 dB") + 34) if self.width() > self.NARROW else 14

    def time_to_x(self, seconds: float) -> float:
        """Frames are centred on their times, so the first column's middle is 0 s."""
        box, (start, stop) = self.plot_box(), self._span
        shift = 0.5 / self.mel.format.frame_rate if self.mel else 0.0
        return box.left() + (seconds + shift - start) / (stop - start) * box.width()

    def x_to_time(self, x: float) -> float:
        box, (start, stop) = self.plot_box(), self._span
        shift = 0.5 / self.mel.format.frame_rate if self.mel else 0.0
        return start + (x - box.left()) / box.width() * (stop - start) - shift

    def hz_to_y(self, hz: float) -> float:
        """The height at which a tone of `hz` is drawn: the middle of the band whose filter peaks there."""
        box, form = self.plot_box(), self.mel.format
        low, high = hz_to_mel(form.fmin), hz_to_mel(form.fmax)
        band = (hz_to_mel(hz) - low) / (high - low) * (form.n_mels + 1) - 1
        return box.bottom() - (float(band) + 0.5) / form.n_mels * box.height()

    def y_to_hz(self, y: float) -> float:
        box, form = self.plot_box(), self.mel.format
        band = (box.bottom() - y) / box.height() * form.n_mels - 0.5
        low, high = hz_to_mel(form.fmin), hz_to_mel(form.fmax)
        return float(mel_to_hz(low + (band + 1) / (form.n_mels + 1) * (high - low)))

    def frequency_ticks(self) -> list[tuple[float, str]]:
        """Heights and labels, with room between them."""
        box, form, result = self.plot_box(), self.mel.format, []
        room = self.line_height() * 1.15
        half = box.height() / form.n_mels / 2 + 1  # the ends of the scale lie half a band outside the picture
        for hz in (1000, 4000, 2000, 8000, *FREQUENCIES):  # the most telling first, the others where they fit
            y = self.hz_to_y(hz)
            fits = box.top() - half <= y <= box.bottom() + half and form.fmin <= hz <= form.fmax
            if fits and all(abs(y - other) >= room for other, _ in result):
                result.append((y, f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz"))
        return sorted(result)

    def time_ticks(self) -> list[tuple[float, str]]:
        """Places and labels in seconds, or minutes and seconds in long sounds."""
        box, (start, stop) = self.plot_box(), self._span
        step_room = 64 if self.mel.seconds < 100 else 84
        result = []
        for t in ticks(start, stop, max(2, int(box.width() / step_room))):
            x = self.time_to_x(t)
            if box.left() - 1 <= x <= box.right() + 1:
                result.append((x, f"{t:g} s" if self.mel.seconds < 100 else f"{int(t // 60)}:{t % 60:04.1f}"))
        return result

    def word_rows(self) -> int:
        """How many rows of words stand above the picture: none, one or two."""
        return self.words.rows(self._span, self.width() - self._left() - self._right())

    # --- drawing ------------------------------------------------------------------------------------------------

    def paint_still(self, painter: QPainter) -> None:
        box = self.plot_box()
        painter.drawImage(box, self._picture(box))
        line = self.line_height()
        painter.setPen(QPen(self.colour("faint"), 1))
        painter.drawRect(box)
        for y, label in self.frequency_ticks():
            painter.setPen(QPen(self.colour("muted"), 1))
            painter.drawLine(QPointF(box.left() - 4, y), QPointF(box.left(), y))
            place = QRectF(0, y - line / 2, box.left() - 7, line)
            painter.drawText(place, Qt.AlignRight | Qt.AlignVCenter, label)
        for x, label in self.time_ticks():
            painter.drawLine(QPointF(x, box.bottom()), QPointF(x, box.bottom() + 4))
            half = self.text_width(label) / 2 + 2
            x = min(max(x, half), self.width() - half)
            painter.drawText(QRectF(x - half, box.bottom() + 5, 2 * half, line), Qt.AlignCenter, label)
        if self.width() > self.NARROW:
            bar = QRectF(box.right() + 10, box.top(), 8, box.height())
            labels = [(1 - d / RANGE_DB, f"−{d} dB" if d else "0 dB") for d in (0, 20, 40, 60)]
            self.paint_colour_bar(painter, bar, labels)
        self.words.paint(painter)

    def _picture(self, box: QRectF):
        """The visible part, at most one column per pixel: pooled where there are more frames."""
        rate, (start, stop) = self.mel.format.frame_rate, self._span
        first, last = start * rate, stop * rate
        columns = max(round(box.width() * self.devicePixelRatioF()), 1)
        if last - first > columns:
            edges = np.linspace(first, last, columns + 1).astype(int)[:-1].clip(0, self.mel.n_frames - 1)
            cut = self._levels[:, edges[0] : max(int(np.ceil(last)), edges[-1] + 1)]
            levels = np.maximum.reduceat(cut, edges - edges[0], axis=1)
        else:
            levels = self._levels[:, np.linspace(first, last, columns, endpoint=False).astype(int)
                                  .clip(0, self.mel.n_frames - 1)]  # fmt: skip
        return self.heat_image(levels[::-1])

    def paint_moving(self, painter: QPainter) -> None:
        box = self.plot_box()
        self.words.paint_mark(painter)
        note, marked = f"{self.mel.seconds:.2f} s", self.words.marked
        word = ""
        if self._hover is not None and box.contains(self._hover):
            t, hz = max(self.x_to_time(self._hover.x()), 0.0), self.y_to_hz(self._hover.y())
            note = f"{t:.2f} s · {hz / 1000:.2f} kHz" if hz >= 1000 else f"{t:.2f} s · {max(hz, 0):.0f} Hz"
            word = self.words.heard_at(t)
        elif marked is not None:
            note = self.words.describe(marked)
            if self.text_width(note) > 0.6 * self.width():
                note = self.words.describe(marked, phonemes=False)
        note = f"{word} · {note}" if word else note
        self.paint_title(painter, self.title, note, top=4)
        if self.playhead is None:
            return
        x = self.time_to_x(self.playhead)
        if box.left() - 1 <= x <= box.right() + 1:
            painter.setPen(QPen(self.colour("background", 150), 3.5))
            painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
            painter.setPen(QPen(self.colour("playhead"), 1.6))
            painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
            painter.setPen(Qt.NoPen)
            painter.setBrush(self.colour("playhead"))
            top = box.top()
            painter.drawPolygon(QPolygonF([QPointF(x - 5, top - 4), QPointF(x + 5, top - 4), QPointF(x, top + 4)]))

    # --- the hand -----------------------------------------------------------------------------------------------

    def _seek(self, event) -> None:
        self.seek_requested.emit(min(max(self.x_to_time(event.localPos().x()), 0.0), self.mel.seconds))

    def mousePressEvent(self, event) -> None:
        self._seeking = False
        if self.mel is None or event.button() != Qt.LeftButton:
            return
        word = self.words.at(event.localPos())
        if word is not None:
            self._mark(word)
            self.setFocus(Qt.MouseFocusReason)
            self._hear_marked()
        elif self.plot_box().contains(event.localPos()):
            self._seeking = True
            self._seek(event)

    def mouseMoveEvent(self, event) -> None:
        self._hover = QPointF(event.localPos())
        self.update(0, 0, self.width(), int(self.line_height()) + 10)
        if self.mel is None:
            return
        word = self.words.at(self._hover)
        if word is not None or not self.hasFocus():
            self._mark(word)
        inside = self.plot_box().contains(self._hover)
        self.setCursor(Qt.PointingHandCursor if word is not None else Qt.IBeamCursor if inside else Qt.ArrowCursor)
        if event.buttons() & Qt.LeftButton and self._seeking:
            self._seek(event)

    def leaveEvent(self, event) -> None:
        self._hover = None
        if not self.hasFocus():
            self._mark(None)
        self.update()

    def mouseDoubleClickEvent(self, event) -> None:
        if self.mel is not None and self.words.at(event.localPos()) is not None:
            self.mousePressEvent(event)
        elif self.mel is not None:
            self._show_span(0.0, self.mel.seconds)

    def event(self, event) -> bool:
        if event.type() != QEvent.ToolTip:
            return super().event(event)
        word = self.words.at(QPointF(event.pos())) if self.mel is not None else None
        text = f"{self.words.describe(word)}\nClick to hear it" if word is not None else ""
        QToolTip.showText(event.globalPos(), text, self)
        return True

    def wheelEvent(self, event) -> None:
        if self.mel is None or not self.plot_box().contains(event.position()):
            event.ignore()
            return
        start, stop = self._span
        turn = event.angleDelta()
        if abs(turn.x()) > abs(turn.y()) or event.modifiers() & Qt.ShiftModifier:
            shift = -(turn.x() or turn.y()) / 1200 * (stop - start)
            self._show_span(start + shift, stop + shift)
        else:
            length = (stop - start) * 0.8 ** (turn.y() / 120)
            length = min(max(length, min(0.1, self.mel.seconds)), self.mel.seconds)
            box = self.plot_box()
            share = (event.position().x() - box.left()) / box.width()
            middle = start + share * (stop - start)
            self._show_span(middle - share * length, middle + (1 - share) * length)
        event.accept()

    def _show_span(self, start: float, stop: float) -> None:
        length = min(stop - start, self.mel.seconds)
        start = min(max(start, 0.0), self.mel.seconds - length)
        if (start, start + length) != self._span:
            self._span = (start, start + length)
            self.redraw()

    # --- words, with the keyboard -------------------------------------------------------------------------------

    def _mark(self, word: int | None) -> None:
        if word != self.words.marked:
            self.words.marked = word
            self.setAccessibleDescription("" if word is None else self.words.describe(word))
            self.update()

    def _hear_marked(self) -> None:
        _, start, end = self.words.words[self.words.marked]
        self.part_requested.emit(start, end)

    def focusInEvent(self, event) -> None:
        """The first word in view, unless one is marked already."""
        if self.words.marked is None and self.words.words:
            ends = [end for _, _, end in self.words.words]
            self._mark(next((k for k, end in enumerate(ends) if end > self._span[0]), 0))
        super().focusInEvent(event)

    def focusOutEvent(self, event) -> None:
        if event.reason() not in (Qt.ActiveWindowFocusReason, Qt.PopupFocusReason):
            self._mark(None)
        super().focusOutEvent(event)

    def keyPressEvent(self, event) -> None:
        marked, last = self.words.marked, len(self.words.words) - 1
        plain = not event.modifiers() & ~Qt.KeypadModifier
        if marked is None or not plain:
            event.ignore()
        elif event.key() in (Qt.Key_Return, Qt.Key_Enter):
            self._hear_marked()
        elif event.key() in (Qt.Key_Left, Qt.Key_Right, Qt.Key_Home, Qt.Key_End):
            steps = {Qt.Key_Left: marked - 1, Qt.Key_Right: marked + 1, Qt.Key_Home: 0, Qt.Key_End: last}
            self._mark(min(max(steps[event.key()], 0), last))
            self._show_marked()
        else:
            event.ignore()

    def _show_marked(self) -> None:
        """Turns the page of a zoomed view to where the marked word is."""
        _, begin, end = self.words.words[self.words.marked]
        start, stop = self._span
        if not start <= begin < end <= stop:
            self._show_span(begin - 0.1, begin - 0.1 + stop - start)
