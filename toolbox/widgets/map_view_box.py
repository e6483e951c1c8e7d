"""Which part of the map is on the screen: it holds still unless points leave it, and follows wheel and hand."""

import numpy as np
from PyQt5.QtCore import QPointF, QRectF


class MapBox:
    """Turns map places into pixels: one scale for both axes, the vertical one upwards."""

    MARGIN = 0.06  # of the larger side, left free around the points

    def __init__(self):
        self.centre = np.zeros(2)
        self.size = np.zeros(2)  # map units that must be in sight, each way; 0: nothing seen yet
        self.zoom = 1.0
        self.pan = QPointF(0, 0)  # pixels

    @property
    def is_moved(self) -> bool:
        """Whether the user has zoomed or panned."""
        return self.zoom != 1.0 or not self.pan.isNull()

    def reset(self) -> None:
        self.zoom, self.pan = 1.0, QPointF(0, 0)

    def fit(self, points: np.ndarray, afresh: bool = False) -> None:
        """Makes room for all points (n, 2). Stays as it is while they are inside and fill about half of it."""
        if not len(points):
            return
        low, high = points.min(axis=0), points.max(axis=0)
        extent = high - low
        inside = bool((np.abs(points - self.centre) <= self.size / 2).all())
        if afresh or self.is_new or not inside or extent.max() < 0.45 * self.size.max():
            self.centre = (low + high) / 2
            self.size = extent + 2 * self.MARGIN * (extent.max() or 1.0)

    @property
    def is_new(self) -> bool:
        return not self.size.any()

    def scale(self, area: QRectF) -> float:
        """Pixels per map unit."""
        return min(area.width() / (self.size[0] or 1.0), area.height() / (self.size[1] or 1.0)) * self.zoom

    def to_screen(self, points: np.ndarray, area: QRectF) -> np.ndarray:
        """Map places (n, 2) as pixels (n, 2)."""
        middle = np.array([area.center().x() + self.pan.x(), area.center().y() + self.pan.y()])
        return middle + (points - self.centre) * self.scale(area) * np.array([1, -1])

    def zoom_at(self, place: QPointF, factor: float, area: QRectF) -> None:
        """Zooms so that what is below `place` stays there."""
        zoom = min(max(self.zoom * factor, 0.5), 40.0)
        factor = zoom / self.zoom
        middle = area.center() + self.pan
        self.pan = place + (middle - place) * factor - area.center()
        self.zoom = zoom


def pushed_apart(places: np.ndarray, gap: float = 8.5, rounds: int = 12) -> np.ndarray:
    """Pixels (n, 2), those closer than `gap` moved apart by a few pixels, so that each can be seen and clicked."""
    n = len(places)
    if not 1 < n <= 600:
        return places
    one, two = np.nonzero(np.triu(np.hypot(*(places[:, None] - places[None]).T) < 2 * gap, 1))
    turn = (two - one) * 2.39996  # a direction for those at one place
    aside = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    places = places.copy()
    for _ in range(rounds):
        across = places[one] - places[two]
        distance = np.hypot(*across.T)
        if not (distance < gap).any():
            break
        direction = np.where((distance > 1e-6)[:, None], across / np.maximum(distance, 1e-6)[:, None], aside)
        push = 0.4 * direction * np.maximum(gap - distance, 0)[:, None]
        for c in (0, 1):
            places[:, c] += np.bincount(one, push[:, c], n) - np.bincount(two, push[:, c], n)
    return places


def label_box(
    at: QPointF, wide: float, high: float, reach: float, points: np.ndarray, weights: np.ndarray, room: QRectF
) -> QRectF:
    """Where a label beside `at` hides least, within `room`: at the right, left, above or below, or aside of it.

    points: pixels (n, 2) not to hide, weights: (n,) how much each matters.
    """
    right, left, above, below = reach, -reach - wide, -reach - high, reach
    corners = [(right, -high / 2), (left, -high / 2), (-wide / 2, above), (-wide / 2, below)]
    corners += [(right, 0), (left, 0), (right, -high), (left, -high)]
    corners += [(x, y) for y in (above, below) for x in (-reach, reach - wide)]
    best, least = QRectF(), np.inf
    for k, (dx, dy) in enumerate(corners):
        box = QRectF(at.x() + dx, at.y() + dy, wide, high)
        low, high_corner = np.array([box.left() - 5, box.top() - 5]), np.array([box.right() + 5, box.bottom() + 5])
        hidden = float(weights[((points > low) & (points < high_corner)).all(axis=1)].sum())
        price = hidden + 0.02 * k + (0 if room.contains(box) else 100)
        if price < least:
            best, least = box, price
    return best
