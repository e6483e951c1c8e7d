"""umap-learn in a process of its own.

Its import and first fit take seconds of compiling, most of it holding the interpreter lock, and a fit cannot be
interrupted. In a child process it can neither freeze a window nor outlive a cancel.
"""

import logging
import multiprocessing
import os

import numpy as np

from core.progress import Cancelled, Report, silent

MIN_DIST = 0.25


def _serve(connection) -> None:
    """The child: fits until the pipe closes. Answers each request with points, or the text of what went wrong."""
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    import warnings

    import umap

    warnings.filterwarnings("ignore", module="umap")
    while True:
        try:
            vectors, start, seed, n_neighbours, epochs = connection.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            model = umap.UMAP(
                metric="cosine",
                n_neighbors=n_neighbours,
                min_dist=MIN_DIST,
                init=start,
                n_epochs=epochs,
                random_state=seed,
                n_jobs=1,
            )
            connection.send(model.fit_transform(vectors))
        except Exception as error:  # the parent shows PCA instead, and logs this
            connection.send(f"{type(error).__name__}: {error}")


class UmapProcess:
    """Fits in a child that is started at the first fit and kept for the next. For one caller at a time."""

    def __init__(self):
        self._child = None
        self._connection = None

    def fit(
        self,
        vectors: np.ndarray,
        start: np.ndarray,
        seed: int = 0,
        n_neighbours: int = 15,
        epochs: int | None = None,
        report: Report = silent,
    ) -> np.ndarray | None:
        """The UMAP of `vectors` (n, d), n > 2, cosine, from the map `start` (n, 2): float64 (n, 2), in UMAP's own scale.

        None where umap-learn fails or its process dies, with a line in the log. Same arguments, same map. Raises
        Cancelled through `report`, and then the child is gone. Source: McInnes et al. 2018, arXiv 1802.03426.
        """
        self._ensure()
        try:
            self._connection.send(
                (np.asarray(vectors, np.float32), np.asarray(start, np.float32), seed, n_neighbours, epochs)
            )
            while not self._connection.poll(0.05):
                report(0.0, "Arranging the map")
            answer = self._connection.recv()
        except Cancelled:
            self.stop()
            raise
        except (EOFError, OSError) as error:
            self.stop()
            answer = f"its process ended ({error!r})"
        if isinstance(answer, str):
            logging.getLogger(__name__).warning("UMAP failed, the map stays as it is: %s", answer)
            return None
        return answer.astype(np.float64)

    def stop(self) -> None:
        """Ends the child at once, whatever it is doing."""
        if self._child is not None:
            self._connection.close()
            self._child.kill()
            self._child.join(5)
            self._child = None

    def _ensure(self) -> None:
        if self._child is not None and self._child.is_alive():
            return
        self.stop()
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._child = context.Process(target=_serve, args=(theirs,), name="umap", daemon=True)
        self._child.start()
        theirs.close()
