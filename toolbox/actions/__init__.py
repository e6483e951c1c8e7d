"""The verbs of the window, one module per panel. They are the only writers of the workspace."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PyQt5.QtCore import QObject, QTimer

from core.inference.cloner import Cloner
from core.types import Take, Utterance
from toolbox.jobs import Lane
from toolbox.notices import Notices
from toolbox.settings import Settings
from toolbox.sound import Sound
from toolbox.workspace import Workspace

REFERENCES = Path(__file__).resolve().parents[2] / "assets" / "reference_voices.npz"


@dataclass
class Tools:
    """What every verb may reach for."""

    workspace: Workspace
    notices: Notices
    settings: Settings
    sound: Sound
    cloner: Cloner
    models: Lane  # all of torch
    files: Lane  # decoding, encoding, looking into folders
    projection: Lane  # the map


class Actions(QObject):
    """All verbs: `models`, `voices`, `speaking`, `dictionary`, `map`, and what concerns them all."""

    def __init__(self, tools: Tools, parent: QObject | None = None):
        from toolbox.actions.dictionary import DictionaryActions
        from toolbox.actions.map import MapActions
        from toolbox.actions.models import ModelActions
        from toolbox.actions.speaking import SpeakingActions
        from toolbox.actions.voices import VoiceActions

        super().__init__(parent)
        self.tools = tools
        self._seek_to = 0.0
        self._seek_soon = QTimer(self, singleShot=True, interval=120)
        self._seek_soon.timeout.connect(self._seek)
        self._undos: list[Callable[[], None]] = []
        self.map = MapActions(tools, self)
        self.voices = VoiceActions(tools, self)
        self.dictionary = DictionaryActions(tools, self)
        self.speaking = SpeakingActions(tools, self)
        self.models = ModelActions(tools, self)
        self.models.loaded.connect(self.voices.resume)
        self.models.loaded.connect(self.speaking.tune_soon)
        tools.sound.failed.connect(lambda error: tools.notices.failure(error, key="sound"))
        tools.sound.playback_started.connect(tools.workspace.set_playing)
        tools.sound.playback_stopped.connect(lambda key: tools.workspace.set_playing(None))

    def cancel(self) -> None:
        """Stops whatever the person waits for."""
        for lane in (self.tools.models, self.tools.files):
            for job in list(lane.jobs.values()):
                if not job.quiet:
                    job.cancel()

    def play_or_stop(self) -> None:
        """What the space bar does: ends a recording, stops what is heard, or plays what is looked at."""
        if self.tools.sound.state != "idle":
            self.tools.sound.stop_recording()
        elif self.tools.sound.playing:
            self.tools.sound.stop()
        elif self.tools.workspace.shown_id:
            self.play(self.tools.workspace.shown_id)

    def play(self, id: str) -> None:
        """Plays an utterance or take; the one that is heard stops."""
        if self.tools.workspace.playing_id == id:
            self.tools.sound.stop()
            return
        item = self.tools.workspace.takes.get(id) or self.tools.workspace.utterances.get(id)
        if item is not None and self._has_sound(item):
            self.tools.workspace.select(id)
            self.tools.sound.play(id, item.waveform)

    def seek(self, seconds: float) -> None:
        """Plays what is looked at from there; a hand that drags along asks many times, and is answered once."""
        self._seek_to = seconds
        self._seek_soon.start()

    def _seek(self) -> None:
        item = self._shown()
        if item is not None and item.waveform is not None and self.tools.sound.state == "idle":
            self.tools.sound.play(item.id, item.waveform, self._seek_to)

    def play_part(self, start: float, stop: float) -> None:
        """Plays what is looked at between two times, such as a word's; what is heard stops."""
        self._seek_soon.stop()
        item = self._shown()
        if item is not None and self._has_sound(item) and self.tools.sound.state == "idle":
            self.tools.sound.play(item.id, item.waveform, start, stop)

    def _shown(self) -> Take | Utterance | None:
        workspace = self.tools.workspace
        return workspace.takes.get(workspace.shown_id) or workspace.utterances.get(workspace.shown_id)

    def _has_sound(self, item: Take | Utterance) -> bool:
        """Whether it can be heard; says so where it cannot."""
        if item.waveform is None:
            self.tools.notices.warning("This take has no sound yet.", "Vocode it first.", key="play")
        return item.waveform is not None

    def remove(self, id: str) -> None:
        """Removes an utterance or a take."""
        if id in self.tools.workspace.takes:
            self.speaking.remove(id)
        elif id in self.tools.workspace.utterances:
            self.voices.remove([id])

    def offer_undo(self, message: str, undo: Callable[[], None]) -> None:
        """Says what was removed, and remembers how to bring it back."""
        self._undos.append(undo)
        self.tools.notices.info(message, action_label="Undo", action=self.undo, key="removed")

    def undo(self) -> None:
        """Brings back what was removed last."""
        if self._undos:
            self.tools.notices.withdraw("removed")
            self._undos.pop()()
