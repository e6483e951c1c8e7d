"""umap-learn in a process of its own.

Its import and first fit take seconds of compiling, most of it holding the interpreter lock, and a fit cannot be
interrupted. In a child process it can neither freeze a window nor make a cancel wait.
"""

import contextlib
import logging
import multiprocessing
import os

import numpy as np

from core.progress import Report, silent

MIN_DIST = 0.25


def _serve(connection) -> None:
    """The child: says "ready", then fits until the pipe closes. Answers points, or what went wrong."""
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    with contextlib.suppress(AttributeError, OSError):
        os.nice(5)  # the map may wait, speech may not
    import warnings

    import umap

    warnings.filterwarnings("ignore")
    with contextlib.suppress(OSError):
        connection.send("ready")
    while True:
        try:
            vectors, start, settings = connection.recv()
            try:
                model = umap.UMAP(metric="cosine", min_dist=MIN_DIST, init=start, n_jobs=1, **settings)
                answer = model.fit_transform(vectors)
            except Exception as error:  # the parent shows what it has instead, and logs this
                answer = f"{type(error).__name__}: {error}"
            connection.send(answer)
        except (EOFError, OSError, KeyboardInterrupt):
            return


class UmapProcess:
    """Fits in a child that starts with the first fit and is kept for the next. For one caller at a time."""

    def __init__(self):
        self._child = None
        self._connection = None
        self._owes = False  # whether an answer of the child is still to be read

    def fit(
        self,
        vectors: np.ndarray,
        start: np.ndarray,
        seed: int = 0,
        n_neighbours: int = 15,
        epochs: int | None = None,
        learning_rate: float = 1.0,
        report: Report = silent,
    ) -> np.ndarray | None:
        """The UMAP of `vectors` (n, d), n > 3, cosine, begun at the map `start` (n, 2): float64 (n, 2), in its scale.

        None where umap-learn fails or its process dies, with a line in the log. Same arguments, same map. Raises
        Cancelled through `report`; the child goes on, its answer is dropped, and the next fit finds it warm.
        Source: McInnes, Healy and Melville 2018, arXiv 1802.03426.
        """
        low, span = start.min(axis=0), np.maximum(np.ptp(start, axis=0), 1e-9)
        settings = {
            "n_neighbors": min(n_neighbours, len(vectors) - 1),
            "random_state": seed,
            "n_epochs": epochs,
            "learning_rate": learning_rate,
        }
        try:
            self._ensure()
            self._answer(report)  # that it is ready, or the fit of a caller who has gone: it would not read before
            self._connection.send((np.asarray(vectors, np.float32), np.asarray(start, np.float32), settings))
            self._owes = True
            answer = self._answer(report)
        except (EOFError, OSError) as error:
            self.stop()
            answer = f"its process ended ({error!r})"
        if isinstance(answer, str):
            logging.getLogger(__name__).warning("UMAP failed, the map stays as it is: %s", answer)
            return None
        return low + answer.astype(np.float64) / 10 * span  # umap-learn stretches every start to 10 by 10

    def _answer(self, report: Report):
        """What the child still owes, None where it owes nothing. A pipe holds 64 kB: a send to a child that does not
        read would block, and nothing could cancel it."""
        answer = None
        while self._owes:
            if self._connection.poll(0.05):
                answer = self._connection.recv()
                self._owes = False
            else:
                report(0.0, "Arranging the map")
        return answer

    def stop(self) -> None:
        """Ends the child: it leaves by itself when it is idle, in order, and is not asked twice when it is busy."""
        if self._child is not None:
            self._connection.close()
            self._child.join(0.5)
            self._child.kill()
            self._child.join(5)
            self._child = None

    def _ensure(self) -> None:
        if self._child is not None and self._child.is_alive():
            return
        self.stop()
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        child = context.Process(target=_serve, args=(theirs,), name="umap", daemon=True)
        child.start()
        self._child, self._owes = child, True
        theirs.close()
