"""Embeddings to a map in two dimensions that keeps its place as voices come and go. numpy only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.inference.umap_layout import arrange, fuzzy_graph
from core.progress import Report, part, silent

FEWEST_FOR_UMAP = 8
LONGEST_STEP = 0.04
"""How far, in widths of the map, a known point may move when others are added."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each voice lies. ids: (n,); points: float32 (n, 2), read-only, in no unit; method: "pca" or "umap"."""

    ids: tuple[str, ...]
    points: np.ndarray
    method: str


def project_pca(vectors: np.ndarray) -> np.ndarray:
    """The two directions in which the vectors (n, d) differ most: float64 (n, 2), centred; zeros where there are none.

    Signs are fixed (the largest part of each direction is positive), so equal vectors give equal maps.
    """
    vectors = np.asarray(vectors, np.float64)
    points = np.zeros((len(vectors), 2))
    if len(vectors) < 2 or vectors.shape[1] == 0:
        return points
    centred = vectors - vectors.mean(axis=0)
    directions = _directions(centred)
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.where(directions[np.arange(len(directions)), largest] < 0, -1, 1)[:, None]
    points[:, : len(directions)] = centred @ directions.T
    return points


def _directions(centred: np.ndarray) -> np.ndarray:
    """The two (or fewer) leading principal directions of centred rows (n, d), one per row.

    Many rows: subspace iteration. A full eigen-decomposition takes a second on a busy machine, and cannot be cancelled.
    Source: Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithm 4.4.
    """
    n, d = centred.shape
    if n <= 64 or d <= 8:
        return np.linalg.svd(centred, full_matrices=False)[2][:2]
    covariance = centred.T @ centred
    basis = np.random.default_rng(0).normal(size=(d, 8))
    for _ in range(40):
        basis = np.linalg.qr(covariance @ basis)[0]
    values, turn = np.linalg.eigh(basis.T @ covariance @ basis)
    return (basis @ turn[:, np.argsort(values)[::-1][:2]]).T


def align(points: np.ndarray, to: np.ndarray, also: np.ndarray | None = None, scale: bool = False) -> np.ndarray:
    """`also` (default: `points`) turned, mirrored and shifted, scaled if asked, as brings `points` nearest `to`.

    points, to: (n, 2), n >= 1. Source: Schönemann 1966, the orthogonal Procrustes problem.
    """
    also = points if also is None else also
    centre, aim = points.mean(axis=0), to.mean(axis=0)
    u, stretch, vt = np.linalg.svd((points - centre).T @ (to - aim))
    size = ((points - centre) ** 2).sum()
    factor = stretch.sum() / size if scale and size > 0 and stretch.sum() > 0 else 1.0
    return (also - centre) @ (u @ vt) * factor + aim


def width(points: np.ndarray) -> float:
    """The larger side of the box around the points (n, 2); 0 for none."""
    return float(np.ptp(points, axis=0).max()) if len(points) else 0.0


def part_twins(points: np.ndarray) -> np.ndarray:
    """The same points, those that coincide set around each other: the same file twice is two points, not one."""
    points = np.array(points, np.float64)
    small = 0.012 * (width(points) or 1.0)
    cells = np.round(points / (small / 4)).astype(np.int64)
    _, group = np.unique(cells, axis=0, return_inverse=True)
    group = group.ravel()
    rank = np.zeros(len(points))
    for twins in np.flatnonzero(np.bincount(group) > 1):
        members = np.flatnonzero(group == twins)
        rank[members] = np.arange(len(members))
    angle = rank * np.deg2rad(137.50776)
    return points + small * np.sqrt(rank)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


class Projector:
    """Makes the map, and remembers it: a known voice stays where it was, within 4 % of the map's width.

    umap: a `core.inference.umap_process.UmapProcess` that goes over the first map once more with umap-learn, while ours
    is shown; None leaves it at ours. For one caller at a time (the projection lane).
    """

    def __init__(self, seed: int = 0, n_neighbours: int = 15, umap=None):
        self.seed = seed
        self.n_neighbours = n_neighbours
        self._umap = umap
        self._known: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # id -> its vector, its point
        self._method = "pca"
        self._unit = 1.0  # how long one unit of the UMAP optimiser is on the map

    def project(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        report: Report = silent,
        on_layout: Callable[[Layout], None] | None = None,
    ) -> Layout:
        """The map of `vectors` (n, d), one encoder's embeddings, named by distinct `ids`.

        UMAP from 8 points on, PCA below. on_layout: called, from this thread, with each map that a better one is about
        to follow, PCA first. A known id with another vector counts as new. After Cancelled, raised through `report`,
        the map is what it was before, or what on_layout was given last, if that was a UMAP.
        """
        ids = tuple(ids)
        if not ids:
            return _layout((), np.zeros((0, 2)), self._method)
        vectors = np.nan_to_num(np.array(vectors, np.float32).reshape(len(ids), -1))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        report(0.0, "Arranging the map")
        old, before = self._recall(ids, vectors)
        method, unit = self._method, self._unit
        if not old.any():
            points, method, unit = self._first(ids, vectors, report, on_layout)
        elif old.all():
            points = before
        elif method == "pca" and len(ids) < FEWEST_FOR_UMAP:
            points = _limited(before, align(fresh := part_twins(project_pca(vectors)), before, fresh), old)
        else:
            points, unit = self._extended(vectors, before, old, report)
            method = "umap"
        self._method, self._unit = method, unit
        if not old.any():
            self._known.clear()
        self._remember(ids, vectors, points)
        if self._umap is not None and method == "umap":
            points = self._refined(ids, vectors, points, before, old, report, on_layout)
            self._remember(ids, vectors, points)
        return _layout(ids, points, method)

    def _remember(self, ids, vectors, points) -> None:
        self._known.update({i: (v, p) for i, v, p in zip(ids, vectors, points, strict=True)})

    def _refined(self, ids, vectors, points, before, old, report, on_layout):
        """The same map, gone over by umap-learn: once, when nothing interrupts it. Its process then ends."""
        if on_layout is not None:
            on_layout(_layout(ids, points, "umap"))
        fitted = self._umap.fit(vectors, points / self._unit, self.seed, self.n_neighbours, report=report)
        self._umap.stop()
        self._umap = None
        if fitted is None:
            return points
        fitted = align(fitted, points, fitted, scale=True)
        return _limited(before, fitted, old) if old.any() else fitted

    def _recall(self, ids, vectors):
        """Which of the voices have a place already: bool (n,), and where: float64 (n, 2), zeros for the others."""
        old, before = np.zeros(len(ids), bool), np.zeros((len(ids), 2))
        for k, id in enumerate(ids):
            if id in self._known and np.array_equal(self._known[id][0], vectors[k]):
                old[k], before[k] = True, self._known[id][1]
        return old, before

    def _first(self, ids, vectors, report, on_layout):
        """A map of voices none of which is known: PCA, then UMAP from there, turned and scaled like the PCA map."""
        points = part_twins(project_pca(vectors))
        if len(ids) < FEWEST_FOR_UMAP:
            return points, "pca", 1.0
        if on_layout is not None:
            on_layout(_layout(ids, points, "pca"))
        fitted, unit = self._fit(vectors, points, report)
        return align(fitted, points, fitted), "umap", unit

    def _fit(self, vectors, points, report):
        """A UMAP that starts from a map of any size; as large as that map. Returns points and the unit."""
        size = width(points) or 1.0
        graph = fuzzy_graph(vectors, self.n_neighbours, part(report, 0.0, 0.2))
        start = 20 * points / size + np.random.default_rng(self.seed).normal(0, 0.05, points.shape)
        fitted = arrange(start, graph, 200, seed=self.seed, report=part(report, 0.2, 1.0))
        unit = size / max(width(fitted), 1e-9)
        return fitted * unit, unit

    def _extended(self, vectors, before, old, report):
        """The known map with new voices among their neighbours, everything a little nearer to where it belongs."""
        unit = self._unit
        if self._method == "pca":
            _, unit = self._fit(vectors, align(fresh := project_pca(vectors), before, fresh), report)
        graph = fuzzy_graph(vectors, self.n_neighbours, part(report, 0.0, 0.2))
        likeness = vectors[~old] @ vectors[old].T
        near = np.argsort(-likeness, axis=1, kind="stable")[:, :3]
        pull = np.exp(20 * (np.take_along_axis(likeness, near, 1) - likeness.max(axis=1, keepdims=True)))
        start = before / unit
        start[~old] = (start[old][near] * pull[:, :, None]).sum(axis=1) / pull.sum(axis=1)[:, None]
        start[~old] += np.random.default_rng([self.seed, len(old)]).normal(0, 0.1, start[~old].shape)
        placed = arrange(start, graph, 80, 0.3, self.seed, ~old, part(report, 0.2, 0.4))
        settled = arrange(placed, graph, 60, 0.2, self.seed, None, part(report, 0.4, 0.8))
        settled = align(settled[old], before[old] / unit, settled)
        points = _limited(before / unit, settled, old)
        points = arrange(points, graph, 40, 0.1, self.seed, ~old, part(report, 0.8, 1.0))
        return points * unit, unit


def _limited(before: np.ndarray, after: np.ndarray, old: np.ndarray) -> np.ndarray:
    """`after`, with the old points brought back to within the longest step of where they were."""
    step = after - before
    length = np.linalg.norm(step, axis=1)
    longest = LONGEST_STEP * width(before[old])
    shrink = np.where(old & (length > longest), longest / np.maximum(length, 1e-12), 1.0)
    return before + step * shrink[:, None]


def _layout(ids: tuple[str, ...], points: np.ndarray, method: str) -> Layout:
    points = np.ascontiguousarray(points, np.float32)
    points.flags.writeable = False
    return Layout(ids, points, method)
