"""Voices come in: recorded or loaded, named, renamed, removed."""

import re
from dataclasses import replace
from pathlib import Path

from PyQt5.QtCore import QObject, pyqtSignal

from core.errors import ModelError, SilentAudio
from core.types import Utterance, Waveform
from toolbox import actions
from toolbox.workspace import Voice

QUIETEST_PEAK = 1e-4  # -80 dB: below, a recording is a muted microphone and not a quiet room


def speaker_of(path: Path) -> str:
    """A first guess whose voice a file holds: its name without a trailing number ("anna_02.wav" -> "anna")."""
    return re.sub(r"[\s_.\-]*\(?\d+\)?$", "", path.stem).strip() or path.stem


class VoiceActions(QObject):
    """Files and recordings become utterances of the workspace."""

    reveal = pyqtSignal(str)  # id of an utterance whose name the person may want to change

    def __init__(self, tools: "actions.Tools", parent: QObject):
        super().__init__(parent)
        self.tools = tools
        self._waiting: list[tuple[Waveform, str, str, str, str]] = []  # what no encoder has heard yet
        self._recordings = 0
        self._speaker = ""
        tools.sound.recorded.connect(self._on_recorded)

    # --- files --------------------------------------------------------------------------------------------------

    def load(self, paths: list[Path], speaker: str | None = None) -> None:
        """Reads each file, then embeds it. One that fails says so; the others go on."""
        for path in map(Path, paths):
            self._load(path, speaker or speaker_of(path))

    def _load(self, path: Path, speaker: str) -> None:
        def work(report) -> Waveform:
            from core.audio.io import read_audio

            report(0.0, "reading")
            return read_audio(path)

        job = self.tools.files.submit(f"Reading {path.name}", work)
        job.succeeded.connect(lambda waveform: self._embed(waveform, path.stem, speaker, "file", str(path)))
        job.failed.connect(lambda error: self.tools.notices.failure(error))

    # --- recordings ---------------------------------------------------------------------------------------------

    def toggle_recording(self, speaker: str = "") -> None:
        self._speaker = speaker.strip()
        if self.tools.sound.state == "idle":
            self.tools.notices.withdraw("sound")
            missing = self.tools.sound.missing_input
            if missing:
                self.tools.notices.warning(
                    f"{missing} is not connected.", "Recording from the system's default microphone.", key="sound"
                )
            self.tools.sound.start_recording()
        else:
            self.tools.sound.stop_recording()

    def set_speaker(self, speaker: str) -> None:
        """Whose voice the recording under way is."""
        self._speaker = speaker.strip()

    def _on_recorded(self, waveform: Waveform) -> None:
        if not len(waveform.samples):
            self.tools.notices.warning("Nothing was recorded.", "Record a little longer.", key="record")
            return
        if abs(waveform.samples).max() < QUIETEST_PEAK:
            self.tools.notices.failure(
                SilentAudio(
                    "The recording holds only silence.",
                    "Check that the microphone is plugged in and not muted, or choose another input.",
                ),
                key="record",
            )
            return
        self.tools.notices.withdraw("record")
        self._recordings += 1
        speaker = self._speaker or self._next_name()
        self._embed(waveform, f"recording {self._recordings}", speaker, "recorded", "")

    def _next_name(self) -> str:
        """A recording without a name continues the voice in use if it was recorded too, else begins a new one."""
        n = 1
        while f"Speaker {n}" in self.tools.workspace.speakers():
            n += 1
        return f"Speaker {n}"

    # --- into the workspace -------------------------------------------------------------------------------------

    def _embed(self, waveform: Waveform, name: str, speaker: str, origin: str, source: str) -> None:
        cloner = self.tools.cloner
        self.parent().models.ensure()

        def work(report) -> Utterance:
            return cloner.utterance(waveform, name, speaker, origin, source, report)

        def failed(error: BaseException) -> None:
            if isinstance(error, ModelError):  # the sound is kept until there is an encoder
                self._waiting.append((waveform, name, speaker, origin, source))
                self.tools.notices.warning(
                    f"{name} waits: there is no encoder yet.", "It joins the list when there is one.", key="waiting"
                )
                return
            self.tools.notices.failure(error)

        job = self.tools.models.submit(f"Listening to {name}", work)
        job.succeeded.connect(self._add)
        job.failed.connect(failed)

    def _add(self, utterance: Utterance) -> None:
        workspace = self.tools.workspace
        workspace.add_utterance(utterance)
        workspace.select(utterance.id)
        workspace.set_voice(Voice(utterance.speaker))
        if utterance.origin == "recorded":
            self.reveal.emit(utterance.id)

    def resume(self) -> None:
        """After models were loaded: embeds what has waited, and what another encoder had embedded."""
        encoder = self.tools.cloner.encoder
        if encoder is None:
            return
        self.tools.notices.withdraw("waiting")
        waiting, self._waiting = self._waiting, []
        for arguments in waiting:
            self._embed(*arguments)
        for utterance in self.tools.workspace.utterances.values():
            if utterance.embedding.encoder != encoder.space:
                self._embed_again(utterance)

    def _embed_again(self, utterance: Utterance) -> None:
        cloner = self.tools.cloner

        def work(report) -> Utterance:
            u = utterance
            again = cloner.utterance(u.waveform, u.name, u.speaker, u.origin, u.source, report)
            return replace(again, id=u.id)

        def succeeded(again: Utterance) -> None:
            now = self.tools.workspace.utterances.get(again.id)
            if now is not None:  # not removed meanwhile; a new name stays
                self.tools.workspace.add_utterance(replace(again, name=now.name, speaker=now.speaker))

        job = self.tools.models.submit(f"Listening to {utterance.name}", work)
        job.succeeded.connect(succeeded)
        job.failed.connect(self.tools.notices.failure)

    # --- names and removal --------------------------------------------------------------------------------------

    def rename_speaker(self, old: str, new: str) -> None:
        if new.strip():
            self.tools.workspace.rename_speaker(old, new.strip())

    def rename_utterance(self, id: str, name: str) -> None:
        if name.strip() and id in self.tools.workspace.utterances:
            self.tools.workspace.rename_utterance(id, name.strip())

    def remove(self, ids: list[str]) -> None:
        """Removes utterances; `undo` brings them back."""
        workspace = self.tools.workspace
        removed = [workspace.utterances[id] for id in ids if id in workspace.utterances]
        if not removed:
            return
        if workspace.playing_id in ids:
            self.tools.sound.stop()
        voice = workspace.voice
        for utterance in removed:
            workspace.remove_utterance(utterance.id)
        instead = workspace.voice
        what = removed[0].name if len(removed) == 1 else f"{len(removed)} utterances of {removed[0].speaker}"

        def undo() -> None:
            for utterance in removed:
                workspace.add_utterance(utterance)
            if workspace.voice == instead:  # none was chosen meanwhile
                workspace.set_voice(voice)
            workspace.select(removed[0].id)

        self.parent().offer_undo(f"Removed {what}.", undo)

    def save_recording(self, id: str, path: Path) -> None:
        """Writes an utterance as a sound file."""
        self.parent().speaking.write(self.tools.workspace.utterances[id].waveform, path)
