"""Text becomes takes: synthesized, vocoded, heard, exported, removed."""

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from core.errors import VoiceError
from core.types import SpeakOptions, Take, Utterance, Waveform, mean_embedding
from toolbox import actions, gentle
from toolbox.jobs import Job
from toolbox.sound import Stream

FRESH_SEEDS = 100_000  # five digits: seen at a glance, told over the telephone
TUNE_AFTER = 400  # ms that a voice stays chosen before it is tuned to: who walks through a list waits for nothing
SOUND_SUFFIXES = (".wav", ".flac", ".ogg")
_PENDING, _WORD = "pending", "word"  # the keys of playbacks whose take does not exist yet, or never will


class SpeakingActions(QObject):
    """Makes takes in the chosen voice."""

    seed_drawn = pyqtSignal(int)

    def __init__(self, tools: "actions.Tools", parent: QObject):
        super().__init__(parent)
        self.tools = tools
        self._tunes = True
        self._tune_soon = QTimer(self, singleShot=True, interval=TUNE_AFTER)
        self._tune_soon.timeout.connect(self._tune)
        for changed in (
            tools.workspace.voice_changed,
            tools.workspace.utterance_added,
            tools.workspace.utterance_removed,
            tools.workspace.utterance_changed,
        ):
            changed.connect(self.tune_soon)
        tools.models.submitted.connect(self._give_way)

    # --- tuning in advance --------------------------------------------------------------------------------------

    def set_tuned(self, tuned: bool) -> None:
        """Whether the person wants voices tuned to."""
        self._tunes = tuned
        self.tune_soon()

    def tune_soon(self) -> None:
        """Tunes to the chosen voice while nothing else is asked for, so that its first sound does not wait for it."""
        for job in self._tunings():
            job.cancel()
        self._tune_soon.start()

    def _give_way(self, job: Job) -> None:
        """Nothing waits for a tuning but who speaks: it is part of that."""
        if job.verb not in ("tune", "speak") and self._tunings():
            self.tune_soon()

    def _tunings(self) -> list[Job]:
        return [job for job in self.tools.models.jobs.values() if job.verb == "tune"]

    def _tune(self) -> None:
        cloner, utterances = self.tools.cloner, self.tools.workspace.voice_utterances()
        if not self._tunes or not utterances or cloner.synthesizer is None:
            return
        if self.tools.models.jobs:  # somebody waits for something else
            self._tune_soon.start()
            return

        def work(report) -> None:
            with contextlib.suppress(VoiceError):  # who speaks hears of it
                cloner.tune(mean_embedding([u.embedding for u in utterances]), report)

        job = self.tools.models.submit("Tuning to the voice", work, verb="tune", quiet=True)
        job.failed.connect(self.tools.notices.failure)

    # --- making -------------------------------------------------------------------------------------------------

    def clone(self, text: str, seed: int | None, options: SpeakOptions) -> None:
        """Synthesizes and vocodes; the first sentence is heard while the rest is made. seed None: a fresh one."""
        request = self._request(text, seed, options)
        if request is None:
            return
        cloner = self.tools.cloner

        def make(report, on_audio) -> Take:
            if options.pitch:
                gentle.open_libraries("parselmouth")
            return cloner.clone(**self._with_dictionary(request), report=report, on_audio=on_audio)

        job, stream = self._heard("Speaking", _PENDING, self._rate(), make)
        job.succeeded.connect(lambda take: self._on_spoken(take, stream))

    def hear(self, word: str, entries: tuple[tuple[str, str], ...]) -> None:
        """Says a word as these entries of a dictionary have it; no take comes of it."""
        options = SpeakOptions(temperature=0.0, pronunciations=entries)
        request = self._request(word, 0, options)
        if request is not None:
            cloner = self.tools.cloner
            self._heard(
                f"Saying {word}",
                _WORD,
                self._rate(),
                lambda report, on_audio: cloner.clone(**request, report=report, on_audio=on_audio),
            )

    def synthesize(self, text: str, seed: int | None, options: SpeakOptions) -> None:
        """Makes the mel alone."""
        request = self._request(text, seed, options)
        if request is not None:
            cloner = self.tools.cloner
            job = self.tools.models.submit(
                "Synthesizing",
                lambda report: cloner.synthesize(**self._with_dictionary(request), report=report),
                verb="speak",
            )
            job.succeeded.connect(self._add)
            job.failed.connect(self.tools.notices.failure)

    def vocode(self, id: str) -> None:
        """Gives a take its sound, or a new one by the vocoder now chosen; heard as it is made."""
        take = self.tools.workspace.takes.get(id)
        if take is None:
            return
        self.parent().models.ensure()
        cloner = self.tools.cloner

        def make(report, on_audio) -> Take:
            if take.receipt.options.pitch:
                gentle.open_libraries("parselmouth")
            return cloner.vocode(take, report, on_audio)

        job, _ = self._heard("Vocoding", id, take.mel.format.sample_rate, make)
        job.succeeded.connect(lambda made: self._add(made) if made.id in self.tools.workspace.takes else None)

    def _heard(self, title: str, key: str, rate: int, make: Callable) -> tuple[Job, Stream]:
        """The job `make(report, on_audio)`, heard while it is at work, and the stream of its sound."""
        sound = self.tools.sound
        stream = sound.stream(key, rate)

        def work(report) -> Take:
            made = make(report, stream.feed)
            stream.finish()
            return made

        job = self.tools.models.submit(title, work, verb="speak")
        job.failed.connect(self.tools.notices.failure)
        job.failed.connect(lambda error: sound.stop_stream(stream))
        job.cancelled.connect(lambda: sound.stop_stream(stream))
        return job, stream

    def _rate(self) -> int:
        card = self.tools.workspace.card("synthesizer")
        return card.mel_format.sample_rate if card is not None and card.mel_format else 16000

    def _with_dictionary(self, request: dict) -> dict:
        """The request, and the pronunciations as their file has them now; for workers."""
        options = replace(request["options"], pronunciations=self.parent().dictionary.entries())
        return {**request, "options": options}

    def _request(self, text: str, seed: int | None, options: SpeakOptions) -> dict | None:
        """The arguments of `Cloner.clone`, or None when something is missing, which is said."""
        workspace, notices = self.tools.workspace, self.tools.notices
        notices.withdraw("speak")
        utterances = workspace.voice_utterances()
        if not utterances:
            notices.warning("There is no voice to speak in yet.", "Record one, or load a sound file.", key="speak")
            return None
        if not any(c.isalnum() for c in text):
            notices.warning("There is nothing to speak in this text.", "Type at least one word.", key="speak")
            return None
        if workspace.chosen["synthesizer"] is None and self.tools.cloner.synthesizer is None:
            notices.warning(
                f"There is no synthesizer in {self.tools.cloner.folder}.",
                "Put the project's pretrained folder there, then look again.",
                action_label="Look again",
                action=self.parent().models.rescan,
                key="speak",
            )
            return None
        try:
            voice = mean_embedding([u.embedding for u in utterances])
        except VoiceError as error:
            notices.failure(error, key="speak")
            return None
        if seed is None:
            seed = random.randrange(FRESH_SEEDS)
            self.seed_drawn.emit(seed)
        self.parent().models.ensure()
        names = tuple(dict.fromkeys(u.speaker for u in utterances))
        return {
            "text": text,
            "voice": voice,
            "seed": seed,
            "options": options,
            "utterance_ids": tuple(u.id for u in utterances),
            "voice_names": names,
        }

    def _on_spoken(self, take: Take, stream) -> None:
        self._add(take)
        self.tools.sound.rename_stream(stream, take.id)

    def _add(self, take: Take) -> None:
        workspace = self.tools.workspace
        workspace.add_take(take)
        workspace.select(take.id)
        if take.waveform is not None:
            self._place(take)

    def _place(self, take: Take) -> None:
        """Embeds a take, so that it stands on the map beside the voice it imitates."""
        workspace, cloner = self.tools.workspace, self.tools.cloner

        def work(report) -> Utterance:
            return cloner.take_utterance(take, take.receipt.voice[0] if take.receipt.voice else "", report)

        def succeeded(utterance: Utterance) -> None:
            if take.id in workspace.takes:
                workspace.add_utterance(replace(utterance, id=take.id, speaker=self._speaker_now(utterance, take)))
                workspace.add_take(replace(workspace.takes[take.id], embedding=utterance.embedding))

        def failed(error: BaseException) -> None:
            if not isinstance(error, VoiceError):  # a take too short to embed is a take all the same
                self.tools.notices.failure(error)

        job = self.tools.models.submit("Placing the take on the map", work, quiet=True)
        job.succeeded.connect(succeeded)
        job.failed.connect(failed)

    def _speaker_now(self, utterance: Utterance, take: Take) -> str:
        """The speaker's name, which may have changed since the take was asked for."""
        for id in take.receipt.utterance_ids:
            if id in self.tools.workspace.utterances:
                return self.tools.workspace.utterances[id].speaker
        return utterance.speaker

    # --- keeping ------------------------------------------------------------------------------------------------

    def export(self, id: str, path: Path) -> None:
        """Writes a take's sound; the file's suffix says in which format."""
        take = self.tools.workspace.takes.get(id)
        if take is None or take.waveform is None:
            self.tools.notices.warning("This take has no sound yet.", "Vocode it first.", key="export")
            return
        self.write(take.waveform, path)

    def write(self, waveform: Waveform, path: Path) -> None:
        path = Path(path)
        if path.suffix.lower() not in SOUND_SUFFIXES:
            path = path.with_name(path.name + ".wav")

        def work(report) -> None:
            from core.audio.io import write_audio

            write_audio(path, waveform)

        job = self.tools.files.submit(f"Writing {path.name}", work)
        job.succeeded.connect(lambda _: self.tools.notices.info(f"Saved {path.name}.", str(path.parent), key="export"))
        job.failed.connect(lambda error: self.tools.notices.failure(error, key="export"))

    def remove(self, id: str) -> None:
        workspace = self.tools.workspace
        take = workspace.takes.get(id)
        if take is None:
            return
        if workspace.playing_id == id:
            self.tools.sound.stop()
        utterance = workspace.utterances.get(id)
        workspace.remove_take(id)

        def undo() -> None:
            workspace.add_take(take)
            if utterance is not None:
                workspace.add_utterance(utterance)
            workspace.select(take.id)

        self.parent().offer_undo("Removed the take.", undo)
