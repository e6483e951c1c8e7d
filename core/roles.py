"""What an encoder, a synthesizer and a vocoder must be able to do. Implementations live in `core.inference`."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np

from core.progress import Report, silent
from core.types import Alignment, Embedding, Mel, MelFormat, SpeakOptions, Waveform


@runtime_checkable
class SpeakerEncoder(Protocol):
    """Turns speech into a point of a voice space."""

    name: str
    space: str

    def embed(self, waveform: Waveform, report: Report = silent) -> tuple[Embedding, np.ndarray]:
        """The voice of one utterance, and its partials, float32 (n_partials, d), each of norm 1.

        waveform: mono, any sample rate. Raises SilentAudio, TooShort (under 0.5 s of speech).
        """


@runtime_checkable
class Synthesizer(Protocol):
    """Turns one sentence and a voice into a mel."""

    name: str
    space: str
    mel_format: MelFormat

    def synthesize(
        self,
        sentence: str,
        voice: Embedding,
        seed: int = 0,
        options: SpeakOptions = SpeakOptions(),
        report: Report = silent,
    ) -> tuple[Mel, Alignment]:
        """The mel of one sentence, and when its symbols are heard. Deterministic in all its arguments.

        Raises TextError when nothing in the sentence can be spoken, FormatMismatch for an embedding of another space.
        """


@runtime_checkable
class Vocoder(Protocol):
    """Turns a mel into sound."""

    name: str
    mel_format: MelFormat

    def vocode(self, mel: Mel, seed: int = 0, report: Report = silent) -> Waveform:
        """The sound of a mel, (n_frames - 1) * hop_length samples, in [-1, 1]. Raises FormatMismatch."""

    def stream(self, mel: Mel, seed: int = 0, report: Report = silent) -> Iterator[Waveform]:
        """The same samples as `vocode`, in chunks, the first as soon as possible; memory bounded by the chunk."""
