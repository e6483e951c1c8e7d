"""The map: where each voice lies among the others. A PCA map at once, the better one when it is ready."""

from pathlib import Path

import numpy as np
from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from toolbox import actions
from toolbox.workspace import References

REFERENCE = "reference:"


def read_references(path: Path) -> References | None:
    """The voices shipped with the toolbox, or None where they are missing."""
    try:
        with np.load(path) as stored:
            vectors = np.asarray(stored["vectors"], np.float32)
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
            texts = {key: tuple(str(t) for t in stored[key]) for key in ("names", "genders", "languages")}
            return References(texts["names"], vectors, str(stored["space"]), texts["genders"], texts["languages"])
    except (OSError, ValueError, KeyError):
        return None


class MapActions(QObject):
    """Keeps `workspace.layout` up to date with the utterances and references of the encoder in use."""

    _first = pyqtSignal(object)

    def __init__(self, tools: "actions.Tools", parent: QObject):
        super().__init__(parent)
        self.tools = tools
        self._projector = None
        self._arranged: tuple | None = None
        self._first.connect(tools.workspace.set_layout)
        self._soon = QTimer(self, singleShot=True, interval=0)  # ten files loaded at once are one new map
        self._soon.timeout.connect(self.arrange)
        workspace = tools.workspace
        for signal in (workspace.utterance_added, workspace.utterance_removed, workspace.utterance_changed):
            signal.connect(self._soon.start)
        workspace.references_changed.connect(self._soon.start)

    def load_references(self, path: Path | None = None) -> None:
        path = path or actions.REFERENCES
        job = self.tools.files.submit("Reading the reference voices", lambda report: read_references(path), quiet=True)
        job.succeeded.connect(self.tools.workspace.set_references)
        job.failed.connect(self.tools.notices.failure)

    def arrange(self) -> None:
        """A new map, unless nothing on it has changed (a rename moves no point)."""
        ids, vectors = self._points()
        content = tuple((id, id_of_array) for id, id_of_array in zip(ids, map(id_, vectors), strict=True))
        if content == self._arranged:
            return
        self._arranged = content
        if not ids:
            self.tools.workspace.set_layout(None)
            return
        stacked = np.stack(vectors)
        any_voice = not all(id.startswith(REFERENCE) for id in ids)

        def work(report):
            from core.inference.projection import Projector

            self._projector = self._projector or Projector()
            if not any_voice:  # the references alone are no reason to start UMAP
                return self._projector.preview(ids, stacked)
            return self._projector.project(ids, stacked, report, self._first.emit)

        job = self.tools.projection.submit("Arranging the map", work, verb="map", quiet=True)
        job.succeeded.connect(self.tools.workspace.set_layout)
        job.failed.connect(self.tools.notices.failure)

    def close(self) -> None:
        """Ends the process that fits, if there is one."""
        if self._projector is not None:
            self._projector.close()

    def _points(self) -> tuple[list[str], list[np.ndarray]]:
        """What belongs on one map: the embeddings of one space."""
        workspace = self.tools.workspace
        utterances = list(workspace.utterances.values())
        references = workspace.references
        encoder = workspace.card("encoder")
        spaces = [u.embedding.encoder for u in utterances] or [references.space if references else ""]
        space = encoder.space if encoder is not None else spaces[-1]
        ids = [u.id for u in utterances if u.embedding.encoder == space]
        vectors = [u.embedding.vector for u in utterances if u.embedding.encoder == space]
        if references is not None and references.space == space:
            ids += [REFERENCE + name for name in references.names]
            vectors += list(references.vectors)
        return ids, vectors


def id_(vector: np.ndarray) -> bytes:
    """Tells two vectors apart, cheaply."""
    return vector[:16].tobytes()
