"""The pipeline from a recording and a text to a voice speaking it. One Cloner, used by one thread (the models lane)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.audio.mel import mel_spectrogram
from core.audio.pitch import shift_pitch
from core.audio.transform import resample
from core.errors import ModelError, VoiceError
from core.inference import registry
from core.inference.registry import PRETRAINED, ROLES, Card
from core.progress import Report, part, silent
from core.roles import SpeakerEncoder, Synthesizer, Vocoder
from core.text.sentences import Sentence, split_sentences
from core.types import (
    PROJECT_MEL,
    Alignment,
    Embedding,
    Mel,
    MelFormat,
    Receipt,
    Span,
    SpeakOptions,
    Take,
    Utterance,
    Waveform,
    new_id,
)

OnAudio = Callable[[Waveform], None]


class Cloner:
    """Loads the three models once and runs them. `encoder`, `synthesizer`, `vocoder` are None until selected."""

    def __init__(self, folder: Path = PRETRAINED):
        self.folder = Path(folder)
        self.encoder: SpeakerEncoder | None = None
        self.synthesizer: Synthesizer | None = None
        self.vocoder: Vocoder | None = None
        self._loaded: dict[tuple, Any] = {}
        self._tuner: tuple[Any, Any] = ((), None)  # the models it was made beside, and what tunes their voices

    # --- models -------------------------------------------------------------------------------------------------

    def choose(
        self, encoder: str | None = None, synthesizer: str | None = None, vocoder: str | None = None
    ) -> dict[str, Card | None]:
        """Role -> the card to load: the one named, else the best that fits those before it. Reads headers only.

        Raises ModelError for a name that is not there, or for models that do not fit each other.
        """
        names = dict(zip(ROLES, (encoder, synthesizer, vocoder), strict=True))
        cards, _ = registry.available(self.folder)
        chosen: dict[str, Card | None] = {}
        for role in ROLES:
            others = [card for card in chosen.values() if card]
            if names[role]:
                card = registry.find(role, names[role], self.folder)
                for other in others:
                    if not registry.fits(other, card):
                        raise ModelError(
                            f"The {role} {card.name} does not work with the {other.role} {other.name}.",
                            "Choose another one.",
                        )
                chosen[role] = card
            else:
                chosen[role] = next((c for c in cards[role] if all(registry.fits(o, c) for o in others)), None)
        return chosen

    def select(
        self,
        encoder: str | None = None,
        synthesizer: str | None = None,
        vocoder: str | None = None,
        report: Report = silent,
    ) -> dict[str, Card | None]:
        """Loads the named models, or the best that fit; what is loaded already stays. Returns role -> card.

        A role for which nothing is there stays None, and the work that needs it raises ModelError.
        If a model cannot be loaded, those in use before stay in use.
        """
        chosen = self.choose(encoder, synthesizer, vocoder)
        ready = {}
        for i, (role, card) in enumerate(chosen.items()):
            report(i / len(ROLES), f"loading {card.name}" if card else f"no {role}")
            ready[role] = self._load(card) if card else None
        self.encoder, self.synthesizer, self.vocoder = (ready[role] for role in ROLES)
        report(1.0, "models ready")
        return chosen

    def select_usable(self, wanted: dict[str, str | None], report: Report = silent) -> list[ModelError]:
        """Like `select`, for a folder with a damaged model in it: what cannot be loaded is passed over for the next
        that fits. wanted: role -> name. Returns the problems met."""
        cards, _ = registry.available(self.folder)
        ready: dict[str, Any] = dict.fromkeys(ROLES)
        chosen: list[Card] = []
        problems: list[ModelError] = []
        for i, role in enumerate(ROLES):
            fitting = [card for card in cards[role] if all(registry.fits(other, card) for other in chosen)]
            for card in sorted(fitting, key=lambda card: card.name != wanted.get(role)):
                report(i / len(ROLES), f"loading {card.name}")
                try:
                    ready[role] = self._load(card)
                except (ModelError, OSError) as error:
                    problems.append(error if isinstance(error, ModelError) else ModelError(f"{card.name}: {error}"))
                    continue
                chosen.append(card)
                break
        self.encoder, self.synthesizer, self.vocoder = (ready[role] for role in ROLES)
        report(1.0, "models ready")
        return problems

    def _load(self, card: Card) -> Any:
        stat = card.path.stat() if card.path else None
        key = (card.role, card.name, card.path, stat and (stat.st_mtime_ns, stat.st_size))
        if key not in self._loaded:
            model = registry.load(card)
            use_one_thread()
            self._loaded = {k: v for k, v in self._loaded.items() if k[:3] != key[:3]}
            self._loaded[key] = model
        return self._loaded[key]

    def _need(self, role: str) -> Any:
        model = getattr(self, role)
        if model is None:
            raise ModelError(
                f"There is no {role} to work with in {self.folder}.",
                "Restore pretrained/ from the repository, or train one.",
            )
        return model

    # --- voices -------------------------------------------------------------------------------------------------

    def utterance(
        self,
        waveform: Waveform,
        name: str,
        speaker: str,
        origin: str = "file",
        source: str = "",
        report: Report = silent,
    ) -> Utterance:
        """A recording with its mel and embedding. Raises SilentAudio, TooShort, ModelError; messages name it."""
        encoder = self._need("encoder")
        try:
            embedding, partials = encoder.embed(waveform, part(report, 0.0, 0.8))
        except VoiceError as error:
            raise type(error)(f"{name}: {error.message}", error.hint) from error
        report(0.8, "mel spectrogram")
        format = self.synthesizer.mel_format if self.synthesizer else PROJECT_MEL
        mel = mel_spectrogram(resample(waveform, format.sample_rate), format)
        report(1.0, "")
        return Utterance(new_id(), name, speaker, waveform, mel, embedding, partials, origin, source)

    def take_utterance(self, take: Take, speaker: str, report: Report = silent) -> Utterance:
        """A take seen as an utterance, so that it can stand on the map beside the voice it imitates."""
        if take.waveform is None:
            raise ValueError("the take has no sound yet")
        name = take.text if len(take.text) <= 40 else take.text[:39] + "…"
        return self.utterance(take.waveform, name, speaker, "generated", report=report)

    # --- speech -------------------------------------------------------------------------------------------------

    def synthesize(
        self,
        text: str,
        voice: Embedding,
        seed: int = 0,
        options: SpeakOptions = SpeakOptions(),
        utterance_ids: tuple[str, ...] = (),
        voice_names: tuple[str, ...] = (),
        report: Report = silent,
    ) -> Take:
        """The mel of a text, without sound yet. Each sentence is made alone, so its neighbours cannot change it.

        Raises TextError, FormatMismatch, ModelError; Cancelled through `report`.
        """
        started = time.perf_counter()
        draft = _Draft(self._need("synthesizer").mel_format)
        for mel, alignment, sentence, _ in self._sentences(text, voice, seed, options, report, share=1.0):
            draft.add(mel, alignment, sentence)
        timings = {"synthesize": time.perf_counter() - started}
        return draft.take(self._receipt(text, voice, seed, options, utterance_ids, voice_names, timings, vocoder=""))

    def vocode(self, take: Take, report: Report = silent, on_audio: OnAudio | None = None) -> Take:
        """The take with its sound, sentence by sentence; `on_audio` hears each chunk as soon as it exists."""
        vocoder = self._need("vocoder")
        started = time.perf_counter()
        hop, seed, pitch = take.mel.format.hop_length, take.receipt.seed, take.receipt.options.pitch
        pieces: list[Waveform] = []
        for span, end in _spans(take):
            stage = part(report, span.start / take.mel.n_frames, end / take.mel.n_frames)
            mel = take.mel.part(span.start, span.stop)
            _collect(_voiced(vocoder, mel, (end - span.start) * hop, seed, pitch, stage), pieces, on_audio)
        timings = {**take.receipt.timings, "vocode": time.perf_counter() - started}
        receipt = replace(take.receipt, vocoder=vocoder.name, timings=timings)
        return _sounding(replace(take, receipt=receipt), pieces, report)

    def clone(
        self,
        text: str,
        voice: Embedding,
        seed: int = 0,
        options: SpeakOptions = SpeakOptions(),
        utterance_ids: tuple[str, ...] = (),
        voice_names: tuple[str, ...] = (),
        report: Report = silent,
        on_audio: OnAudio | None = None,
    ) -> Take:
        """Text to sound, sentence by sentence: the first is heard while the rest is made. Same samples as `synthesize`
        followed by `vocode`. Raises what they raise."""
        vocoder = self._need("vocoder")
        draft = _Draft(self._need("synthesizer").mel_format)
        hop = draft.format.hop_length
        timings = {"synthesize": 0.0, "vocode": 0.0}
        pieces: list[Waveform] = []
        clock = time.perf_counter()
        for mel, alignment, sentence, rest in self._sentences(text, voice, seed, options, report, share=0.4):
            timings["synthesize"] += time.perf_counter() - clock
            clock = time.perf_counter()
            frames = draft.add(mel, alignment, sentence)
            _collect(_voiced(vocoder, mel, frames * hop, seed, options.pitch, rest), pieces, on_audio)
            timings["vocode"] += time.perf_counter() - clock
            timings.setdefault("first_sentence", sum(timings.values()))
            clock = time.perf_counter()
        take = draft.take(
            self._receipt(text, voice, seed, options, utterance_ids, voice_names, timings, vocoder=vocoder.name)
        )
        return _sounding(take, pieces, report)

    def resynthesize(self, waveform: Waveform, report: Report = silent) -> Waveform:
        """Copy synthesis: what the vocoder makes of a recording's own mel."""
        vocoder = self._need("vocoder")
        report(0.0, "mel spectrogram")
        mel = mel_spectrogram(resample(waveform, vocoder.mel_format.sample_rate), vocoder.mel_format)
        return vocoder.vocode(mel, 0, part(report, 0.1, 1.0))

    def _sentences(
        self, text: str, voice: Embedding, seed: int, options: SpeakOptions, report: Report, share: float
    ) -> Iterator[tuple[Mel, Alignment, Sentence, Report]]:
        """Each sentence synthesized, with a report for what is still to be done to it.

        Progress counts characters; `share` of each sentence's is the synthesizer's, the rest is the caller's.
        """
        synthesizer = self._need("synthesizer")
        sentences = split_sentences(text)
        if options.tuned:
            voice = self.tune(voice, part(report, 0.0, 0.2))
            report = part(report, 0.2, 1.0)
        total = max(1, sum(len(s.text) for s in sentences))
        done = 0
        for i, sentence in enumerate(sentences):
            note = f"sentence {i + 1} of {len(sentences)}" if len(sentences) > 1 else "speaking"
            stage = _noted(part(report, done / total, (done + len(sentence.text)) / total), note)
            stage(0.0, "")
            mel, alignment = synthesizer.synthesize(sentence.text, voice, seed, options, part(stage, 0.0, share))
            done += len(sentence.text)
            if i + 1 == len(sentences):
                sentence = replace(sentence, pause=0.0)
            yield mel, alignment, sentence, part(stage, share, 1.0)
        report(1.0, "")

    def tune(self, voice: Embedding, report: Report = silent) -> Embedding:
        """What to ask the synthesizer for, to hear this voice; the voice itself where it cannot be tuned.

        Speaking does it by itself; done before, the first sound need not wait for it. Raises ModelError.
        """
        synthesizer = self._need("synthesizer")
        if not hasattr(synthesizer, "said"):  # nothing to differentiate
            return voice
        from core.inference.tuning import tuner_for

        beside = synthesizer, self.encoder
        if self._tuner[0] != beside:
            self._tuner = beside, tuner_for(synthesizer, self.folder)
        tuner = self._tuner[1]
        return tuner.tune(voice, report) if tuner else voice

    def _receipt(self, text, voice, seed, options, utterance_ids, voice_names, timings, vocoder) -> Receipt:
        return Receipt(
            text,
            tuple(utterance_ids),
            tuple(voice_names),
            voice.encoder,
            self.synthesizer.name,
            vocoder,
            seed,
            options,
            timings,
        )


def use_one_thread() -> None:
    """For torch. The networks are small: on two cores a second thread wins little when the machine is idle, and makes
    the vocoder forty times slower when it is not, each waiting for the other. It also keeps sums in one order."""
    import torch

    torch.set_num_threads(1)


class _Draft:
    """Sentence mels laid one after another, each followed by its pause."""

    def __init__(self, format: MelFormat):
        self.format = format
        self.mels: list[Mel] = []
        self.spans: list[Span] = []
        self.alignments: list[tuple[float, Alignment]] = []
        self.n_frames = 0

    def add(self, mel: Mel, alignment: Alignment, sentence: Sentence) -> int:
        """Returns the frames taken, the pause included."""
        pause_frames = round(sentence.pause * self.format.frame_rate)
        quiet = float((self.mels or [mel])[0].frames.min())
        self.spans.append(Span(sentence.text, self.n_frames, self.n_frames + mel.n_frames))
        self.alignments.append((self.n_frames / self.format.frame_rate, alignment))
        self.mels.append(mel)
        if pause_frames:
            silence = np.full((self.format.n_mels, pause_frames), quiet, np.float32)
            self.mels.append(Mel(silence, self.format, mel.f0 if mel.f0 is None else np.full(pause_frames, mel.f0[-1])))
        self.n_frames += mel.n_frames + pause_frames
        return mel.n_frames + pause_frames

    def take(self, receipt: Receipt) -> Take:
        melody = [mel.f0 for mel in self.mels]
        f0 = None if any(tones is None for tones in melody) else np.concatenate(melody)
        mel = Mel(np.concatenate([mel.frames for mel in self.mels], axis=1), self.format, f0)
        joined = Alignment(
            tuple(s for _, a in self.alignments for s in a.symbols),
            tuple(t + at for at, a in self.alignments for t in a.starts),
            tuple(t + at for at, a in self.alignments for t in a.ends),
            tuple((w, start + at, end + at) for at, a in self.alignments for w, start, end in a.words),
        )
        return Take(new_id(), receipt.text, None, mel, receipt, alignment=joined, spans=tuple(self.spans))


def _noted(report: Report, note: str) -> Report:
    """A report whose note is always the same: which sentence is being made, whatever part is at work."""
    return lambda fraction, _note="": report(fraction, note)


def _voiced(vocoder: Vocoder, mel: Mel, n_samples: int, seed: int, pitch: float, report: Report) -> Iterator[Waveform]:
    """The chunks of one sentence, then silence up to n_samples: its last hop and the pause after it.

    Another pitch is given to the sentence as a whole: it comes in one chunk.
    """
    made = 0
    chunks = vocoder.stream(mel, seed, part(report, 0.0, 0.8) if pitch else report)
    if pitch:
        sentence = _joined(list(chunks), mel.format.sample_rate)
        chunks = iter([shift_pitch(sentence, pitch, part(report, 0.8, 1.0))])
    for chunk in chunks:
        made += len(chunk.samples)
        yield chunk
    if made < n_samples:
        yield Waveform(np.zeros(n_samples - made, np.float32), mel.format.sample_rate)


def _sounding(take: Take, pieces: list[Waveform], report: Report) -> Take:
    """The take with its sound, and with the mel of that sound where it is not the one the vocoder read."""
    format, heard = take.mel.format, []
    waveform = _joined(pieces, format.sample_rate)
    for span, end in _spans(take) if take.receipt.options.pitch else ():
        report(1.0, "mel spectrogram")
        samples = waveform.samples[span.start * format.hop_length : end * format.hop_length]
        mel = mel_spectrogram(Waveform(samples, format.sample_rate), format)
        heard.append(mel.frames[:, : end - span.start])
    return replace(take, waveform=waveform, heard=Mel(np.concatenate(heard, axis=1), format) if heard else None)


def _spans(take: Take) -> Iterator[tuple[Span, int]]:
    """Each sentence of a take, and the frame where the pause after it ends."""
    return zip(take.spans, [*(span.start for span in take.spans[1:]), take.mel.n_frames], strict=True)


def _collect(chunks: Iterator[Waveform], pieces: list[Waveform], on_audio: OnAudio | None) -> None:
    for chunk in chunks:
        pieces.append(chunk)
        if on_audio is not None:
            on_audio(chunk)


def _joined(pieces: list[Waveform], sample_rate: int) -> Waveform:
    return Waveform(np.concatenate([p.samples for p in pieces] or [np.zeros(0, np.float32)]), sample_rate)
