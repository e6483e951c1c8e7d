"""The map of voices: a colour per speaker, circles for real speech, diamonds for generated, dots for references."""

import numpy as np
from PyQt5.QtCore import QEasingCurve, QPointF, QRectF, Qt, QVariantAnimation, pyqtSignal
from PyQt5.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from core.inference.projection import Layout
from core.types import Utterance
from toolbox.widgets.map_legend import MapLegend
from toolbox.widgets.map_view_box import MapBox, label_box, pushed_apart
from toolbox.widgets.plot import Plot
from toolbox.workspace import Workspace

REFERENCE = "reference:"
REACH = 12.0  # pixels within which the mouse means a point


def current_space(workspace: Workspace) -> str:
    """The encoder space that is drawn: the chosen encoder's, else the newest utterance's, else the references'."""
    card = workspace.card("encoder")
    if card is not None:
        return card.space
    spaces = [u.embedding.encoder for u in workspace.utterances.values()]
    return spaces[-1] if spaces else (workspace.references.space if workspace.references else "")


class ProjectionView(Plot):
    """Shows `workspace.layout`. Click selects, Del asks to remove, wheel and drag move it, a double click resets."""

    utterance_selected = pyqtSignal(str)
    remove_requested = pyqtSignal(str)

    def __init__(self, workspace: Workspace, parent=None):
        super().__init__("Record or load a voice to see it here", parent)
        self.setAccessibleName("Map of voices")
        self.setMinimumSize(220, 200)
        self.setFocusPolicy(Qt.StrongFocus)
        self.workspace = workspace
        self.box = MapBox()
        self.legend = MapLegend(self)
        self.method = ""
        self._places: dict[str, np.ndarray] = {}  # where each point is going
        self._from: dict[str, np.ndarray] = {}  # where it comes from
        self._box_from = (np.zeros(2), np.zeros(2))
        self._progress = 1.0
        self._markers: dict[str, np.ndarray] | None = None  # kept until the next redraw
        self._hover: str | None = None
        self._press: QPointF | None = None
        self._dragged = False
        self._glide = QVariantAnimation(self, startValue=0.0, endValue=1.0, duration=420)
        self._glide.setEasingCurve(QEasingCurve.InOutCubic)
        self._glide.valueChanged.connect(self._on_glide)
        for signal in (workspace.utterance_added, workspace.utterance_removed, workspace.utterance_changed):
            signal.connect(self._on_change)
        for signal in (workspace.selection_changed, workspace.references_changed, workspace.models_changed):
            signal.connect(self._on_change)
        workspace.layout_changed.connect(self._on_layout_changed)
        self.show_layout(workspace.layout)

    # --- what to show -------------------------------------------------------------------------------------------

    def _on_layout_changed(self) -> None:
        self.show_layout(self.workspace.layout)

    def _on_change(self, *_) -> None:
        self.redraw()

    def show_layout(self, layout: Layout | None) -> None:
        """Glides from the map shown to this one; None empties it."""
        now = {id: self.place(id) for id in self._places}
        self._box_from = (self.box.centre, self.box.size)
        self._places = {} if layout is None else dict(zip(layout.ids, np.asarray(layout.points, float), strict=True))
        self._from = {id: now.get(id, place) for id, place in self._places.items()}
        method = "" if layout is None else layout.method.upper()
        points = np.array(list(self._places.values())).reshape(-1, 2)
        self.box.fit(points, afresh=method != self.method)
        self.method = method
        self._glide.stop()
        anything_moves = any(not np.array_equal(self._from[id], self._places[id]) for id in self._places)
        resized = not np.array_equal(self._box_from[1], self.box.size)
        if self.isVisible() and (anything_moves or resized) and self._box_from[1].any():
            self._progress = 0.0
            self._glide.start()
        else:
            self._progress = 1.0
        self.redraw()

    def _on_glide(self, progress: float) -> None:
        self._progress = float(progress)
        self.redraw()

    def place(self, id: str) -> np.ndarray:
        """Where a point is now, in map units: on its way while the map glides."""
        start = self._from[id]
        return start + (self._places[id] - start) * self._progress

    def drawn_ids(self) -> list[str]:
        """The utterances that are on the map, in order. Their encoder is the current one's: spaces never mix."""
        space, utterances = current_space(self.workspace), self.workspace.utterances
        return [id for id, u in utterances.items() if id in self._places and u.embedding.encoder == space]

    def reference_ids(self) -> list[str]:
        references = self.workspace.references
        if references is None or references.space != current_space(self.workspace):
            return []
        return [REFERENCE + name for name in references.names if REFERENCE + name in self._places]

    def hidden_names(self) -> list[str]:
        """The utterances that another encoder made: they cannot be compared with what is shown."""
        space = current_space(self.workspace)
        return [u.name for u in self.workspace.utterances.values() if u.embedding.encoder != space]

    def is_empty(self) -> bool:
        return not self.drawn_ids() and not self.reference_ids()

    def redraw(self) -> None:
        self._markers = None
        if self._hover is not None and self._hover not in self.drawn_ids() + self.reference_ids():
            self._hover = None
        self.legend.refresh()
        super().redraw()

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._markers = None
        self.legend.refresh()

    # --- places on the screen -----------------------------------------------------------------------------------

    def area(self) -> QRectF:
        """Where the points are: beside the legend, between title and key."""
        line = self.line_height()
        box = QRectF(self.rect()).adjusted(10, line + 10, -10 - self.legend.taken(), -line - 14)
        lines = bool(self.hidden_names()) + (not self.drawn_ids())  # the notes below the points
        return box.adjusted(0, 0, 0, -lines * (line + 2))

    def screen_places(self, ids: list[str]) -> np.ndarray:
        """Pixels (n, 2) of the points."""
        if not ids:
            return np.zeros((0, 2))
        box = MapBox()
        box.zoom, box.pan = self.box.zoom, self.box.pan
        (centre, size), t = self._box_from, self._progress
        gliding = t < 1.0 and size.any()
        box.centre = centre + (self.box.centre - centre) * t if gliding else self.box.centre
        box.size = size + (self.box.size - size) * t if gliding else self.box.size
        return box.to_screen(np.array([self.place(id) for id in ids]), self.area())

    def marker_places(self) -> dict[str, np.ndarray]:
        """Pixels of everything drawn: references where they lie, utterances so that none hides another."""
        if self._markers is not None:
            return self._markers
        references, ids = self.reference_ids(), self.drawn_ids()
        result = dict(zip(references, self.screen_places(references), strict=True))
        result.update(zip(ids, pushed_apart(self.screen_places(ids), 8.5 * self._size()), strict=True))
        self._markers = result
        return result

    def screen_place(self, id: str) -> QPointF:
        return QPointF(*self.marker_places()[id])

    def at(self, where: QPointF) -> str | None:
        """The point under the mouse: an utterance rather than a reference, the nearest of them."""
        places = self.marker_places()
        for ids in (self.drawn_ids(), self.reference_ids()):
            if ids:
                distance = np.hypot(*(np.array([places[id] for id in ids]) - (where.x(), where.y())).T)
                if distance.min() <= REACH:
                    return ids[int(distance.argmin())]
        return None

    # --- drawing ------------------------------------------------------------------------------------------------

    def paint_empty(self, painter: QPainter) -> None:
        super().paint_empty(painter)
        self._paint_hidden(painter)

    def paint_still(self, painter: QPainter) -> None:
        area, line = self.area(), self.line_height()
        ids, references = self.drawn_ids(), self.reference_ids()
        painter.save()
        painter.setClipRect(area.adjusted(-9, -9, 9, 9))
        painter.setPen(Qt.NoPen)
        painter.setBrush(self.colour("reference", 170))
        places = self.marker_places()
        for id in references:
            painter.drawEllipse(QPointF(*places[id]), 2.6 * self._size(), 2.6 * self._size())
        lit = self.legend.hovered
        order = sorted(range(len(ids)), key=lambda k: ids[k] == self.workspace.selected_id)
        colours: dict[str, QColor] = {}
        for k in order:
            utterance = self.workspace.utterances[ids[k]]
            if utterance.speaker not in colours:
                colours[utterance.speaker] = QColor(self.workspace.speaker_colour(utterance.speaker))
                colours[utterance.speaker].setAlpha(255 if lit in (None, utterance.speaker) else 50)
            self._paint_point(painter, QPointF(*places[ids[k]]), utterance, colours[utterance.speaker])
        painter.restore()
        if not ids:
            painter.setPen(self.colour("muted"))
            text = "Record or load a voice to see it among these"
            place = QRectF(8, area.bottom() + 6, self.width() - 16, line)
            painter.drawText(place, Qt.AlignCenter, text)
        self._paint_key(painter, ids, references)
        self._paint_hidden(painter)
        note = f"{self.method} · zoomed" if self.box.is_moved else self.method
        self.paint_title(painter, self._title(len(ids), len(references)), note, top=4)
        self._paint_label(painter)

    def _title(self, voices: int, references: int) -> str:
        parts = [f"{voices} utterance{'s' * (voices != 1)}"] if voices else []
        parts += [f"{references} reference voices"] if references else []
        return ", ".join(parts)

    def _paint_point(self, painter: QPainter, at: QPointF, utterance: Utterance, colour: QColor) -> None:
        alpha = colour.alpha()
        if utterance.origin == "generated":
            painter.setPen(QPen(colour, 2.2, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
            painter.setBrush(self.colour("background", alpha))
            painter.drawPolygon(_diamond(at, 6.0 * self._size()))
        else:
            painter.setPen(QPen(self.colour("background", alpha), 1.2))
            painter.setBrush(colour)
            painter.drawEllipse(at, 5.8 * self._size(), 5.8 * self._size())
        if utterance.id == self.workspace.selected_id:
            painter.setPen(QPen(self.colour("text"), 1.8))
            painter.setBrush(Qt.NoBrush)
            painter.drawEllipse(at, 10.5 * self._size(), 10.5 * self._size())

    def _size(self) -> float:
        """Markers grow a little on large maps."""
        return min(max(min(self.width(), self.height()) / 460, 1.0), 1.35)

    def _paint_label(self, painter: QPainter) -> None:
        """The selected one's name beside its ring."""
        id = self.workspace.selected_id
        if id is None or id not in self._places or id not in self.drawn_ids():
            return
        at, area = self.screen_place(id), self.area()
        if not area.adjusted(-12, -12, 12, 12).contains(at):
            return
        font = self.sized_font(bold=True)
        name = QFontMetricsF(font).elidedText(self.workspace.utterances[id].name, Qt.ElideMiddle, 180)
        size, height = self.text_width(name, font), self.line_height()
        room = QRectF(self.rect()).adjusted(4, 24, -4 - self.legend.taken(), -24)
        places = self.marker_places()
        weights = np.array([0.2 if other.startswith(REFERENCE) else 1.0 for other in places])
        box = label_box(at, size + 8, height + 2, 13 * self._size(), np.array(list(places.values())), weights, room)
        painter.setPen(Qt.NoPen)
        painter.setBrush(self.colour("background", 175))
        painter.drawRoundedRect(box, 4, 4)
        painter.setFont(font)
        painter.setPen(self.colour("text"))
        painter.drawText(box, Qt.AlignCenter, name)
        painter.setFont(self.sized_font())

    def _paint_key(self, painter: QPainter, ids: list[str], references: list[str]) -> None:
        """What circle, diamond and dot mean: those that are there."""
        origins = {self.workspace.utterances[id].origin == "generated" for id in ids}
        x, line = 16.0, self.line_height()
        y = self.height() - line / 2 - 7
        entries = [("real", False in origins), ("generated", True in origins), ("reference", bool(references))]
        for text, present in entries:
            if not present:
                continue
            at = QPointF(x, y)
            if text == "real":
                painter.setPen(Qt.NoPen)
                painter.setBrush(self.colour("muted"))
                painter.drawEllipse(at, 4.5, 4.5)
            elif text == "generated":
                painter.setPen(QPen(self.colour("muted"), 1.8))
                painter.setBrush(Qt.NoBrush)
                painter.drawPolygon(_diamond(at, 4.8))
            else:
                painter.setPen(Qt.NoPen)
                painter.setBrush(self.colour("reference"))
                painter.drawEllipse(at, 2.6, 2.6)
            painter.setPen(self.colour("muted"))
            painter.drawText(QRectF(x + 9, y - line / 2, 120, line), Qt.AlignLeft | Qt.AlignVCenter, text)
            x += 9 + self.text_width(text) + 20

    def _paint_hidden(self, painter: QPainter) -> None:
        names = self.hidden_names()
        if names:
            line = self.line_height()
            count = "1 utterance" if len(names) == 1 else f"{len(names)} utterances"
            text = f"Not shown, made by another encoder: {count} ({', '.join(names)})"
            text = QFontMetricsF(painter.font()).elidedText(text, Qt.ElideRight, self.width() - 24)
            painter.setPen(self.colour("muted"))
            place = QRectF(12, self.height() - 2 * line - 11, self.width() - 24, line)
            painter.drawText(place, Qt.AlignLeft | Qt.AlignVCenter, text)

    def hover_lines(self, id: str) -> list[str]:
        """What the card says of a point: its name, who and what it is, how like the selected one."""
        workspace, selected = self.workspace, self.workspace.selected
        if id.startswith(REFERENCE):
            references = workspace.references
            k = references.names.index(id[len(REFERENCE) :])
            about = [texts[k] for texts in (references.genders, references.languages) if k < len(texts) and texts[k]]
            lines = [references.names[k], " · ".join(["reference voice", *about])]
            vector = references.vectors[k]
        else:
            utterance = workspace.utterances[id]
            origin = {"recorded": "recorded", "file": "from a file"}.get(utterance.origin, utterance.origin)
            lines = [utterance.name, f"{utterance.speaker} · {origin}"]
            vector = utterance.embedding.vector
        if selected is not None and selected.id != id and selected.embedding.encoder == current_space(workspace):
            lines.append(f"{float(selected.embedding.vector @ vector):.2f} like {selected.name}")
        return lines

    def paint_moving(self, painter: QPainter) -> None:
        if self._hover is None:
            return
        lines, line, at = self.hover_lines(self._hover), self.line_height(), self.screen_place(self._hover)
        painter.setPen(QPen(self.colour("accent"), 2))
        painter.setBrush(Qt.NoBrush)
        painter.drawEllipse(at, 8.5, 8.5)
        bold = self.sized_font(bold=True)
        lines = [QFontMetricsF(bold).elidedText(text, Qt.ElideMiddle, 260) for text in lines]
        size = max([self.text_width(lines[0], bold), *(self.text_width(text) for text in lines[1:])]) + 20
        height = len(lines) * (line + 1) + 12
        left = at.x() + 16 if at.x() + 16 + size < self.width() - 4 else max(at.x() - 16 - size, 4)
        top = min(max(at.y() - height / 2, 4), self.height() - height - 4)
        painter.setPen(QPen(self.colour("faint"), 1))
        painter.setBrush(self.colour("card", 244))
        painter.drawRoundedRect(QRectF(left, top, size, height), 6, 6)
        for k, text in enumerate(lines):
            painter.setFont(self.sized_font(bold=k == 0))
            painter.setPen(self.colour("text" if k != 1 else "muted"))
            place = QRectF(left + 10, top + 6 + k * (line + 1), size - 16, line + 1)
            painter.drawText(place, Qt.AlignLeft | Qt.AlignVCenter, text)

    # --- the hand -----------------------------------------------------------------------------------------------

    def mousePressEvent(self, event) -> None:
        if event.button() == Qt.LeftButton:
            self._press, self._dragged = QPointF(event.localPos()), False

    def mouseMoveEvent(self, event) -> None:
        where = QPointF(event.localPos())
        if self._press is not None and event.buttons() & Qt.LeftButton:
            step = where - self._press
            if self._dragged or step.manhattanLength() > 5:
                self._dragged = True
                self.box.pan, self._press = self.box.pan + step, where
                self.setCursor(Qt.ClosedHandCursor)
                self.redraw()
            return
        hover = self.at(where)
        if hover != self._hover:
            self._hover = hover
            self.setCursor(Qt.PointingHandCursor if hover in self.workspace.utterances else Qt.ArrowCursor)
            self.update()

    def mouseReleaseEvent(self, event) -> None:
        pressed, self._press = self._press, None
        self.unsetCursor()
        if pressed is None or self._dragged or event.button() != Qt.LeftButton:
            return
        id = self.at(event.localPos())
        if id in self.workspace.utterances:
            self.utterance_selected.emit(id)

    def mouseDoubleClickEvent(self, event) -> None:
        if self.at(event.localPos()) is None:
            self.box.reset()
            self.box.fit(np.array(list(self._places.values())).reshape(-1, 2), afresh=True)
            self.redraw()

    def wheelEvent(self, event) -> None:
        if not self.is_empty():
            self.box.zoom_at(event.position(), 1.2 ** (event.angleDelta().y() / 120), self.area())
            self.redraw()
        event.accept()

    def leaveEvent(self, event) -> None:
        self._hover = None
        self.update()

    def keyPressEvent(self, event) -> None:
        if event.key() in (Qt.Key_Delete, Qt.Key_Backspace) and self.workspace.selected_id in self.drawn_ids():
            self.remove_requested.emit(self.workspace.selected_id)
        else:
            super().keyPressEvent(event)


def _diamond(at: QPointF, reach: float) -> QPolygonF:
    return QPolygonF([at + QPointF(*step) for step in ((0, -reach), (reach, 0), (0, reach), (-reach, 0))])
