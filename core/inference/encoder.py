"""Speaker encoders at work: any recording of speech to a point of a voice space. It imports torch: for a worker."""

from collections.abc import Iterator

import numpy as np
import torch

from core.audio.partials import (
    ENCODER_MEL,
    WINDOW_FRAMES,
    partial_mels,
    partial_starts,
    power_mel,
    raise_level,
    rms_level,
)
from core.audio.speech import SAMPLE_RATE, speech_mask, speech_seconds, trim_silence
from core.errors import SilentAudio, TooShort
from core.inference.registry import Card
from core.models.ge2e import GE2E, GE2EConfig
from core.models.voiceprint import Voiceprint, VoiceprintConfig
from core.progress import Report, part, silent
from core.types import Embedding, Waveform

SHORTEST = 0.5
"""Seconds of speech without which nothing is said about a voice."""
RUN = 1000
"""Frames that our own encoder hears in one go: 10 s."""
_QUIETEST = -80.0  # dB of full scale; under it there is nothing but the converter's own noise
_BATCH = 24  # windows between two reports: 20 s of speech, under 0.2 s of work on one core


def resample_in_parts(waveform: Waveform, report: Report) -> Waveform:
    """The sound at 16 kHz, resampled ten seconds at a time so that a long file can be given up."""
    if waveform.sample_rate == SAMPLE_RATE:
        return waveform
    import soxr

    stream = soxr.ResampleStream(waveform.sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    step, n_samples = 10 * waveform.sample_rate, len(waveform.samples)
    chunks = []
    for start in range(0, n_samples, step):
        report(start / n_samples, "resampling")
        last = start + step >= n_samples
        chunks.append(stream.resample_chunk(np.ascontiguousarray(waveform.samples[start : start + step]), last=last))
    return Waveform(np.concatenate(chunks), SAMPLE_RATE)


def find_speech(waveform: Waveform, report: Report) -> np.ndarray:
    """The speech in a 16 kHz recording, raised to the encoder's level: float32 (n_samples,), SHORTEST or more.

    Raises SilentAudio, TooShort.
    """
    if rms_level(waveform.samples) < _QUIETEST:
        raise SilentAudio("There is only silence.", "Check the microphone, or pick another recording.")
    levelled = Waveform(raise_level(waveform.samples), SAMPLE_RATE)
    mask = speech_mask(levelled, report)
    if not mask.any():
        raise SilentAudio("There is sound, but no speech in it.", "Check the microphone, or pick another recording.")
    seconds = speech_seconds(levelled, mask)
    if seconds < SHORTEST:
        raise TooShort(
            f"There are only {seconds:.1f} s of speech, and {SHORTEST} s are needed.",
            "Use a longer recording: 5 to 10 seconds are best.",
        )
    return trim_silence(levelled, mask).samples


class WindowedEncoder:
    """What all encoders here share: find the speech, embed it window by window, average.

    name: the model's; space: of its embeddings. run_share: what the answer to the speech heard in one go counts for in
    a voice, beside the mean of the windows.
    """

    run_share = 0.0

    def __init__(self, card: Card, network: torch.nn.Module, tensors: dict[str, torch.Tensor]):
        """Raises RuntimeError for weights that do not fit the network."""
        self.name, self.space = card.name, card.space
        self.network = network.eval()
        self.network.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=True)

    def embed(self, waveform: Waveform, report: Report = silent) -> tuple[Embedding, np.ndarray]:
        """The voice of one utterance, and its partials, float32 (n_partials, d), each of norm 1.

        waveform: mono, any sample rate. Raises SilentAudio, TooShort; Cancelled through `report`.
        """
        waveform = resample_in_parts(waveform, part(report, 0.0, 0.2))
        speech = find_speech(waveform, part(report, 0.2, 0.4))
        return self.embed_speech(speech, part(report, 0.4, 1.0))

    def embed_speech(self, speech: np.ndarray, report: Report = silent) -> tuple[Embedding, np.ndarray]:
        """As `embed`, for 16 kHz samples that are speech throughout."""
        partials, answers = [], []
        runs = _runs(len(speech)) if self.run_share else []
        report(0.0, "embedding")
        with torch.inference_mode():
            for done, mels in _windows(speech):
                windows, due = torch.from_numpy(mels), runs[len(answers) : int(done * len(runs))]
                if due:
                    long = torch.from_numpy(np.stack([_mels(speech, begin, end) for begin, end in due]))
                    windows, long = self.network.together(windows, long)
                    answers.extend(long.numpy())
                else:
                    windows = self.network(windows)
                partials.append(windows.numpy())
                report(done, "embedding")
        partials = _units(np.concatenate(partials))
        voice = _unit(partials.mean(axis=0))
        if answers:
            voice = _unit((1 - self.run_share) * voice + self.run_share * _unit(np.mean(answers, axis=0)))
        return Embedding(voice, self.space), partials


class VoiceprintEncoder(WindowedEncoder):
    """Our own encoder. Raises KeyError, TypeError or RuntimeError for weights that do not fit the card.

    Beside the windows it hears the speech in one go, up to RUN frames of it: the windows agree more with the published
    encoder, and who has listened for longer tells people apart better.
    """

    run_share = 0.6

    def __init__(self, card: Card, tensors: dict[str, torch.Tensor]):
        super().__init__(card, Voiceprint(VoiceprintConfig(**card.config)), tensors)


class GE2EEncoder(WindowedEncoder):
    """The published encoder, its weights in our container. Raises KeyError, RuntimeError for other weights."""

    def __init__(self, card: Card, tensors: dict[str, torch.Tensor]):
        super().__init__(card, GE2E(GE2EConfig.of(tensors)), tensors)


def _unit(vector: np.ndarray) -> np.ndarray:
    """(d,), of norm 1."""
    return _units(vector[None])[0]


def _units(vectors: np.ndarray) -> np.ndarray:
    """(n, d), each of norm 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _windows(speech: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """The windows of mel energies, float32 (n, 160, 40), _BATCH at a time so that memory does not grow with the
    recording; with each batch the share done after it."""
    starts, hop = partial_starts(len(speech)), ENCODER_MEL.hop_length
    for i in range(0, len(starts), _BATCH):
        chosen = starts[i : i + _BATCH]
        # Three hops more on each side than the windows need, so that no window sees a reflected edge in mid-speech.
        begin = max(0, chosen[0] - 3)
        stretch = speech[begin * hop : (chosen[-1] + WINDOW_FRAMES + 3) * hop]
        yield min(1.0, (i + _BATCH) / len(starts)), partial_mels(stretch, [start - begin for start in chosen])


def _runs(n_samples: int) -> list[tuple[int, int]]:
    """First and last frames of the pieces that speech is heard in, all of one length, RUN frames or fewer."""
    n_frames = n_samples // ENCODER_MEL.hop_length
    n_runs = -(-n_frames // RUN)
    length = n_frames // n_runs
    return [(i * length, (i + 1) * length) for i in range(n_runs)]


def _mels(speech: np.ndarray, begin: int, end: int) -> np.ndarray:
    """The mel energies of some frames of the speech, float32 (end - begin, 40)."""
    hop, first = ENCODER_MEL.hop_length, max(0, begin - 3)  # as in `_windows`
    return power_mel(speech[first * hop : (end + 3) * hop])[begin - first :][: end - begin]
