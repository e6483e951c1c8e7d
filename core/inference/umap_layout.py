"""UMAP in plain numpy: which points are neighbours, and a 2-D map that keeps neighbours together.

Source: McInnes, Healy and Melville 2018, "UMAP: Uniform Manifold Approximation and Projection", sections 3 and 4.
The fuzzy graph is the paper's. The map minimises the same cross entropy, but with the expected force on every point at
once and Adam steps, where the paper samples edges one by one: for the few thousand points of a voice map that is
faster in numpy than the compiled sampler, needs no compiler at run time, can be cancelled at every step, and can hold
chosen points still. docs/decisions/0002-umap-in-numpy.md has the measurements.
"""

from dataclasses import dataclass

import numpy as np

from core.progress import Report, silent

# The curve 1 / (1 + A d^2) turns distance on the map into similarity. The paper's has a free exponent: for a smallest
# gap of 0.2 between points its fit is 1.262 d^(2 * 1.003), so 2 it is, and no step needs a power.
A = 1.262
NEGATIVES = 5  # repulsions per attraction
WHOLE = 300  # up to so many points every pair repels; beyond, each point meets a random sample per step
SAMPLE = 32
GRAVITY = 0.002  # a faint pull to the middle: groups without a common neighbour stay in sight of each other


@dataclass(frozen=True, eq=False)
class Graph:
    """A weighted neighbour graph of n points. i < j: int (n_edges,); weight: float (n_edges,) in (0, 1]."""

    n: int
    i: np.ndarray
    j: np.ndarray
    weight: np.ndarray


def nearest(vectors: np.ndarray, k: int, report: Report = silent, block: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest others of each unit vector: indices int (n, k) and cosine distances (n, k), nearest first."""
    n = len(vectors)
    indices, distances = np.empty((n, k), int), np.empty((n, k), np.float32)
    for start in range(0, n, block):
        report(start / n, "Comparing voices")
        rows = slice(start, min(start + block, n))
        distance = 1 - vectors[rows] @ vectors.T
        np.maximum(distance, 0, out=distance)
        own = np.arange(len(distance))
        distance[own, start + own] = np.inf
        found = np.argpartition(distance, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(distance, found, 1), axis=1, kind="stable")
        indices[rows] = np.take_along_axis(found, order, 1)
        distances[rows] = np.take_along_axis(distance, indices[rows], 1)
    return indices, distances


def memberships(distances: np.ndarray, n_neighbours: int) -> np.ndarray:
    """How strongly each point holds each of its neighbours, (n, k) in (0, 1].

    The nearest counts 1; the others fall off at a rate that makes every point's memberships sum to log2(n_neighbours).
    """
    nearest_of_all = np.where(distances > 0, distances, np.inf).min(axis=1)
    nearest_of_all[~np.isfinite(nearest_of_all)] = 0
    gap = np.maximum(distances - nearest_of_all[:, None], 0).astype(np.float64)
    low, high, width = np.zeros(len(gap)), np.full(len(gap), np.inf), np.ones(len(gap))
    wanted = np.log2(n_neighbours)
    for _ in range(64):
        too_wide = np.exp(-gap / width[:, None]).sum(axis=1) > wanted
        high, low = np.where(too_wide, width, high), np.where(too_wide, low, width)
        width = np.where(np.isinf(high), 2 * width, (low + high) / 2)
    width = np.maximum(width, 1e-3 * np.where(nearest_of_all > 0, distances.mean(axis=1), distances.mean()) + 1e-12)
    return np.exp(-gap / width[:, None])


def fuzzy_graph(vectors: np.ndarray, n_neighbours: int = 15, report: Report = silent) -> Graph:
    """The neighbour graph of unit vectors (n, d), n >= 2; a point counts among its own n_neighbours.

    Two one-sided memberships a, b join into a + b - ab. Raises Cancelled through `report`.
    """
    n = len(vectors)
    n_neighbours = min(n_neighbours, n)
    indices, distances = nearest(vectors, n_neighbours - 1, report)
    weight = memberships(distances, n_neighbours).ravel()
    here = np.repeat(np.arange(n), n_neighbours - 1)
    there = indices.ravel()
    edges, edge = np.unique(np.minimum(here, there) * n + np.maximum(here, there), return_inverse=True)
    one, two = np.zeros(len(edges)), np.zeros(len(edges))
    ahead = here < there  # an edge is seen at most once from each end
    one[edge[ahead]], two[edge[~ahead]] = weight[ahead], weight[~ahead]
    return Graph(n, edges // n, edges % n, one + two - one * two)


def _attraction(points: np.ndarray, graph: Graph) -> np.ndarray:
    """The pull of its neighbours on every point, (n, 2)."""
    across = points[graph.i] - points[graph.j]
    pull = across * (2 * A * graph.weight / (1 + A * (across**2).sum(axis=1)))[:, None]
    total = [np.bincount(graph.j, pull[:, c], graph.n) - np.bincount(graph.i, pull[:, c], graph.n) for c in (0, 1)]
    return np.stack(total, axis=1)


def _repulsion(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mean push of all points (of a random sample, where there are many) on every point, (n, 2)."""
    x, y = points.T
    if len(points) <= WHOLE:
        squared = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
        push = 2 / ((1e-3 + squared) * (1 + A * squared))
        return (points * push.sum(axis=1)[:, None] - push @ points) / len(points)
    others = rng.integers(0, len(points), (SAMPLE, len(points)))
    dx, dy = x - x[others], y - y[others]
    squared = dx**2 + dy**2
    push = 2 / ((1e-3 + squared) * (1 + A * squared))
    return np.stack([(push * dx).mean(axis=0), (push * dy).mean(axis=0)], axis=1)


def arrange(
    points: np.ndarray,
    graph: Graph,
    epochs: int = 200,
    rate: float = 0.5,
    seed: int = 0,
    moving: np.ndarray | None = None,
    report: Report = silent,
) -> np.ndarray:
    """The map that starts from `points` (n, 2) and brings neighbours together, others apart; float64 (n, 2).

    rate: the first step's length in map units, falling to 0. moving: bool (n,), the others hold still; None: all move.
    Same arguments, same map. Raises Cancelled through `report`.
    """
    rng = np.random.default_rng(seed)
    points = np.array(points, np.float64)
    held = np.bincount(graph.i, graph.weight, graph.n) + np.bincount(graph.j, graph.weight, graph.n)
    mean, square = np.zeros_like(points), np.zeros_like(points)
    for epoch in range(epochs):
        report(epoch / epochs, "Arranging the map")
        force = _attraction(points, graph) + NEGATIVES / 2 * held[:, None] * _repulsion(points, rng)
        force -= GRAVITY * held[:, None] * (points - points.mean(axis=0))
        mean = 0.8 * mean + 0.2 * force
        square = 0.95 * square + 0.05 * force**2
        step = mean / (1 - 0.8 ** (epoch + 1)) / (np.sqrt(square / (1 - 0.95 ** (epoch + 1))) + 0.1)
        step *= rate * (1 - epoch / epochs)
        points += step if moving is None else step * moving[:, None]
    return points
