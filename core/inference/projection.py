"""Embeddings to a map in two dimensions that keeps its place as voices come and go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.inference.umap_process import UmapProcess
from core.progress import Report, silent

FEWEST_FOR_UMAP = 8
LONGEST_STEP = 0.04
"""How far, in widths of the map, a known point may move when others are added."""
GENTLE = 0.1
"""UMAP's learning rate for a map that is known already."""


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

    umap: what fits, by default umap-learn in a process of its own. For one caller at a time (the projection lane).
    """

    def __init__(self, seed: int = 0, n_neighbours: int = 15, umap: UmapProcess | None = None):
        self.seed = seed
        self.n_neighbours = n_neighbours
        self._umap = umap or UmapProcess()
        self._known: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # id -> its vector, its point
        self._method = "pca"

    def preview(self, ids: Sequence[str], vectors: np.ndarray) -> Layout:
        """The PCA map alone, at once, and not remembered."""
        return _layout(tuple(ids), part_twins(project_pca(_unit(vectors, len(ids)))), "pca")

    def project(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        report: Report = silent,
        on_layout: Callable[[Layout], None] | None = None,
    ) -> Layout:
        """The map of `vectors` (n, d), one encoder's embeddings, named by distinct `ids`.

        UMAP from 8 points on, PCA below, and where UMAP fails. on_layout: called, from this thread, with the map that a
        better one is about to follow: PCA first, later the known map with the new voices among their neighbours. A
        known id with another vector counts as new. After Cancelled, raised through `report`, what was known is known.
        """
        ids = tuple(ids)
        if not ids:
            return _layout((), np.zeros((0, 2)), self._method)
        vectors = _unit(vectors, len(ids))
        report(0.0, "Arranging the map")
        old, before = self._recall(ids, vectors)
        if old.all():
            return _layout(ids, before, self._method)
        if not old.any():
            points, method = self._first(ids, vectors, report, on_layout)
            self._known.clear()
        else:
            points, method = self._extended(ids, vectors, before, old, report, on_layout)
        self._method = method
        self._known.update({i: (v, p) for i, v, p in zip(ids, vectors, points, strict=True)})
        return _layout(ids, points, method)

    def close(self) -> None:
        """Ends what runs beside this process."""
        self._umap.stop()

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
            return points, "pca"
        if on_layout is not None:
            on_layout(_layout(ids, points, "pca"))
        start = 10 * (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), 1e-9)
        fitted = self._umap.fit(vectors, start, self.seed, self.n_neighbours, report=report)
        if fitted is None:
            return points, "pca"
        return align(fitted, points, scale=True), "umap"

    def _extended(self, ids, vectors, before, old, report, on_layout):
        """The known map with new voices among their neighbours, then everything a little nearer to where it belongs."""
        if self._method == "pca" and len(ids) < FEWEST_FOR_UMAP:
            return _limited(before, align(fresh := part_twins(project_pca(vectors)), before, fresh), old), "pca"
        likeness = vectors[~old] @ vectors[old].T
        near = np.argsort(-likeness, axis=1, kind="stable")[:, :3]
        pull = np.exp(20 * (np.take_along_axis(likeness, near, 1) - likeness.max(axis=1, keepdims=True)))
        pull /= pull.sum(axis=1, keepdims=True)
        placed = before.copy()
        placed[~old] = _pulled(before[old][near], pull)
        placed = part_twins(placed)
        placed[old] = before[old]
        if on_layout is not None:
            on_layout(_layout(ids, placed, self._method))
        fitted = self._umap.fit(vectors, placed, self.seed, self.n_neighbours, 60, GENTLE, report)
        if fitted is None:
            return placed, self._method
        fitted = align(fitted[old], before[old], fitted)
        points = _limited(before, fitted, old)
        # Where its neighbours were held back, a new point stays with them.
        points[~old] += _pulled((points - fitted)[old][near], pull)
        return points, "umap"


def _pulled(near: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """The mean of what k neighbours have, (n, k, 2), by how much each pulls, (n, k): (n, 2)."""
    return (near * pull[:, :, None]).sum(axis=1)


def _unit(vectors: np.ndarray, n: int) -> np.ndarray:
    """The vectors with norm 1, nonsense made zero: float32 (n, d)."""
    vectors = np.nan_to_num(np.array(vectors, np.float32).reshape(n, -1))
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


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
