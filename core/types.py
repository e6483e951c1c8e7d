"""The values that travel: frozen, their arrays read-only, each carrying its conventions. Needs numpy only."""

import uuid
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from core.errors import FormatMismatch


def _frozen_float32(array: Any, ndim: int, name: str) -> np.ndarray:
    """A read-only, C-ordered float32 array of `ndim` dimensions, every value finite. Raises ValueError."""
    result = np.ascontiguousarray(array, dtype=np.float32)
    if (result is array and result.flags.writeable) or result.base is not None:
        result = result.copy()
    if result.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, got shape {result.shape}")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} holds NaN or infinite values")
    result.flags.writeable = False
    return result


def new_id() -> str:
    """A fresh identity for an utterance or take: never a file name."""
    return uuid.uuid4().hex


@dataclass(frozen=True, eq=False)
class Waveform:
    """Mono sound. samples: float32 (n_samples,), finite, nominally in [-1, 1]; sample_rate in Hz."""

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self):
        object.__setattr__(self, "samples", _frozen_float32(self.samples, 1, "samples"))

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class MelFormat:
    """Every choice behind a mel spectrogram; equal formats mean interchangeable mels.

    power: 1 magnitude, 2 energy. compression: "log" (natural log of max(floor, m)), "db" (20 log10) or "none".
    range: (low, high) of the normalised values, or None where they are not normalised. Frames are centred, the edges
    reflected: n_frames = 1 + n_samples // hop_length. Filters are Slaney's (area-normalised), the window is Hann.
    """

    sample_rate: int = 16000
    n_fft: int = 800
    hop_length: int = 200
    win_length: int = 800
    n_mels: int = 80
    fmin: float = 0.0
    fmax: float = 8000.0
    power: float = 1.0
    compression: str = "log"
    floor: float = 1e-5
    range: tuple[float, float] | None = None
    preemphasis: float = 0.0

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "MelFormat":
        """The format a card names; unknown keys raise ValueError (a newer card than this program)."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown mel format fields: {sorted(unknown)}")
        values = dict(values)
        if values.get("range") is not None:
            values["range"] = tuple(values["range"])
        return cls(**values)


PROJECT_MEL = MelFormat()
"""The mel that this project's own synthesizers and vocoders share."""


@dataclass(frozen=True, eq=False)
class Mel:
    """A mel spectrogram. frames: float32 (n_mels, n_frames), in the scale that `format` says. f0: float32 (n_frames,),
    the pitch in Hz that a synthesizer meant wherever it is voiced; None where nobody says, as of a recording."""

    frames: np.ndarray
    format: MelFormat
    f0: np.ndarray | None = None

    def __post_init__(self):
        object.__setattr__(self, "frames", _frozen_float32(self.frames, 2, "frames"))
        if self.frames.shape[0] != self.format.n_mels:
            raise ValueError(f"mel has {self.frames.shape[0]} bands, its format says {self.format.n_mels}")
        if self.f0 is not None:
            object.__setattr__(self, "f0", _frozen_float32(self.f0, 1, "f0"))
            if len(self.f0) != self.n_frames:
                raise ValueError(f"mel has {self.n_frames} frames, its f0 {len(self.f0)}")

    @property
    def n_frames(self) -> int:
        return self.frames.shape[1]

    @property
    def seconds(self) -> float:
        return self.n_frames / self.format.frame_rate

    def part(self, start: int, stop: int) -> "Mel":
        """Frames start .. stop."""
        return Mel(self.frames[:, start:stop], self.format, None if self.f0 is None else self.f0[start:stop])


@dataclass(frozen=True, eq=False)
class Embedding:
    """Where a voice lies. vector: float32 (d,), L2 norm 1. encoder: the space it lies in ("ge2e-256" for ours and the
    published one); only embeddings of one space may be compared, averaged or projected together."""

    vector: np.ndarray
    encoder: str

    def __post_init__(self):
        object.__setattr__(self, "vector", _frozen_float32(self.vector, 1, "vector"))

    def similarity(self, other: "Embedding") -> float:
        """Cosine similarity, in [-1, 1]. Raises FormatMismatch for another encoder's embedding."""
        if other.encoder != self.encoder:
            raise FormatMismatch(
                f"These voices were embedded by different encoders ({self.encoder} and {other.encoder}).",
                "Embed both with the same encoder before comparing them.",
            )
        return float(self.vector @ other.vector)


@dataclass(frozen=True, eq=False)
class TunedVoice(Embedding):
    """What a synthesizer is to be asked for so that the voice `wanted` is heard (`core.inference.tuning`). Its melody
    and rhythm are those of the voice wanted."""

    wanted: Embedding


def mean_embedding(embeddings: "list[Embedding] | tuple[Embedding, ...]") -> Embedding:
    """One voice from several utterances: the normalised mean. Raises FormatMismatch, ValueError if empty."""
    if not embeddings:
        raise ValueError("no embeddings to average")
    for other in embeddings[1:]:
        embeddings[0].similarity(other)
    mean = np.mean([e.vector for e in embeddings], axis=0)
    return Embedding(mean / max(float(np.linalg.norm(mean)), 1e-9), embeddings[0].encoder)


@dataclass(frozen=True, eq=False)
class Alignment:
    """When each symbol is heard. symbols: as spoken; starts, ends: seconds from the start of the sound;
    words: (text, start, end) of each written word."""

    symbols: tuple[str, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    words: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Utterance:
    """One recording of one speaker, with everything computed from it.

    origin: "recorded", "file" or "generated". partials: float32 (n_partials, d) embeddings of its windows.
    source: the file's path, or "" for a recording. waveform: as recorded or loaded, its own sample rate.
    """

    id: str
    name: str
    speaker: str
    waveform: Waveform
    mel: Mel
    embedding: Embedding
    partials: np.ndarray
    origin: str
    source: str = ""

    def __post_init__(self):
        object.__setattr__(self, "partials", _frozen_float32(self.partials, 2, "partials"))


@dataclass(frozen=True)
class SpeakOptions:
    """What a person may ask of a synthesis beyond text and voice.

    speed: 0.5 to 2, 1 is the model's own pace. temperature: 0 to 1, how much the delivery varies with the seed.
    pitch: -12 to 12 semitones up from the voice's own. pronunciations: (word, how it is said) of a person's own
    dictionary, as `core.text.dictionary` reads them. tuned: whether the synthesizer is first tuned to the voice
    (`core.inference.tuning`), where it can be.
    """

    speed: float = 1.0
    temperature: float = 0.5
    pitch: float = 0.0
    pronunciations: tuple[tuple[str, str], ...] = ()
    tuned: bool = True


@dataclass(frozen=True)
class Receipt:
    """Enough to make a take again: same receipt, same samples."""

    text: str
    utterance_ids: tuple[str, ...]
    voice: tuple[str, ...]
    encoder: str
    synthesizer: str
    vocoder: str
    seed: int
    options: SpeakOptions = field(default_factory=SpeakOptions)
    timings: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """Where one sentence lies in a take's mel: frames start..stop; what follows up to the next start is a pause."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Take:
    """What came out, and from what. `waveform` is None until a vocoder has run.

    mel: what the synthesizer made and a vocoder reads. heard: the mel of the waveform where its pitch was shifted.
    """

    id: str
    text: str
    waveform: Waveform | None
    mel: Mel
    receipt: Receipt
    embedding: Embedding | None = None
    alignment: Alignment | None = None
    spans: tuple[Span, ...] = ()
    heard: Mel | None = None
