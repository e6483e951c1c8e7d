"""Mel to sound with a trained network, chunk by chunk, every chunk exactly a piece of the whole."""

from collections.abc import Iterator

import numpy as np
import torch

from core.audio.limiter import soft_limit
from core.errors import FormatMismatch
from core.inference.registry import Card
from core.models.vocos import Config, Vocos
from core.progress import Report, silent
from core.types import Mel, Waveform


class NeuralVocoder:
    """A Vocoder over `core.models.vocos`.

    A sample depends on `reach` frames at either side, on the running phase of the source and on noise numbered by
    sample. So each chunk is computed with that much context, the phase is carried along, the pitch is read in blocks
    that chunks do not shift, and the noise is drawn by position: the chunks are the whole, whatever their size.
    """

    FIRST = 24  # frames of the first chunk: 0.3 s, soon to be heard
    CHUNK = 160
    NOISE_BLOCK = 8000  # samples

    def __init__(self, card: Card, tensors: dict[str, torch.Tensor]):
        self.name = card.name
        self.mel_format = card.mel_format
        self.config = Config(**card.config)
        self.model = Vocos(self.config).eval().requires_grad_(False)
        self.model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=True)
        silence = Mel(np.full((self.config.n_mels, self.FIRST + self.config.reach), -11.5), self.mel_format)
        for _ in self.stream(silence):  # the first pass of a process is slow: not in the user's time
            pass

    def vocode(self, mel: Mel, seed: int = 0, report: Report = silent) -> Waveform:
        """The sound of a mel, (n_frames - 1) * hop_length samples, in [-1, 1]. Raises FormatMismatch."""
        chunks = [chunk.samples for chunk in self.stream(mel, seed, report)]
        return Waveform(np.concatenate(chunks) if chunks else np.zeros(0, np.float32), self.mel_format.sample_rate)

    def stream(self, mel: Mel, seed: int = 0, report: Report = silent) -> Iterator[Waveform]:
        """The same samples as `vocode`: 0.3 s first, then 2 s at a time. The seed chooses the noise of breath and
        hiss."""
        if mel.format != self.mel_format:
            raise FormatMismatch(
                f"The vocoder {self.name} reads another kind of mel than this one.",
                "Choose the vocoder that belongs to the synthesizer, or Griffin-Lim, which reads any.",
            )
        report(0.0, "vocoding")
        last = mel.n_frames - 1
        melody = _Melody(self.model, mel)
        start, cycles = 0, 0.0
        while start < last:
            stop = min(last, start + (self.CHUNK if start else self.FIRST))
            samples, cycles = self._chunk(melody, start, stop, cycles, seed)
            yield Waveform(soft_limit(samples), self.mel_format.sample_rate)
            start = stop
            report(start / last, "vocoding")

    def _chunk(self, *piece) -> tuple[np.ndarray, float]:
        # One thread: sums in one order, so the same samples on any machine; so small a network gains little from more,
        # and loses much where something else is running.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                return self._compute(*piece)
        finally:
            torch.set_num_threads(threads)

    def _compute(self, melody: "_Melody", start: int, stop: int, cycles: float, seed: int) -> tuple[np.ndarray, float]:
        """Samples from frame `start` to frame `stop`, and the source's cycles (modulo 1) at `stop`, given those at
        `start`."""
        hop, reach = self.config.hop_length, self.config.reach
        left, right = max(0, start - reach), min(melody.mel.n_frames, stop + reach + 1)
        mel, f0 = torch.tensor(melody.mel.frames[None, :, left:right]), melody.part(left, right)
        passed = self.model.cycles(f0)[0]
        first = torch.tensor([cycles], dtype=torch.float64) - passed[start - left]
        noise = torch.from_numpy(self._noise(seed, left * hop, (right + 3) * hop))[None]
        samples = self.model(mel, f0, first, noise)[0, (start - left) * hop : (stop - left) * hop]
        return samples.numpy(), float(cycles + passed[stop - left] - passed[start - left]) % 1.0

    def _noise(self, seed: int, start: int, stop: int) -> np.ndarray:
        """Normal noise for samples start .. stop of the take, the same for each position whoever asks, float32."""
        size = self.NOISE_BLOCK
        blocks = range(start // size, (stop - 1) // size + 1)
        drawn = [np.random.default_rng((abs(seed), block)).standard_normal(size, dtype=np.float32) for block in blocks]
        return np.concatenate(drawn)[start - blocks[0] * size : stop - blocks[0] * size]


class _Melody:
    """The pitch of a mel, read in blocks that begin at the same frames whoever asks.

    Read over another stretch, a network's sums differ in their last digits; in the running phase those add up to what
    can be measured (-40 dB).
    """

    BLOCK = 64  # frames

    def __init__(self, model: Vocos, mel: Mel):
        self.model, self.mel = model, mel
        self._blocks: dict[int, torch.Tensor] = {}  # those that the last part was of

    def part(self, left: int, right: int) -> torch.Tensor:
        """F0 in Hz of frames left .. right, (1, right - left). Each frame is computed once if the parts go forward."""
        first = left // self.BLOCK
        numbers = range(first, (right - 1) // self.BLOCK + 1)
        self._blocks = {k: self._blocks[k] if k in self._blocks else self._read(k * self.BLOCK) for k in numbers}
        return torch.cat(list(self._blocks.values()), 1)[:, left - first * self.BLOCK : right - first * self.BLOCK]

    def _read(self, start: int) -> torch.Tensor:
        reach = self.model.config.pitch_reach
        left, stop = max(0, start - reach), min(start + self.BLOCK, self.mel.n_frames)
        around = self.mel.part(left, stop + reach)
        meant = None if around.f0 is None else torch.tensor(around.f0[None])
        return self.model.read_pitch(torch.tensor(around.frames[None]), meant)[:, start - left : stop - left]
