"""Small stand-ins for the three models: real classes of the roles, fast and deterministic, no weights."""

import time

import numpy as np

from core.audio.mel import magnitudes
from core.audio.transform import resample
from core.errors import SilentAudio, TextError, TooShort
from core.progress import Report, silent
from core.types import PROJECT_MEL, Alignment, Embedding, Mel, SpeakOptions, Waveform


class FakeEncoder:
    """Embeds the average spectrum: other spectra, other voices; louder is the same voice."""

    name, space = "fake-encoder", "ge2e-256"

    def embed(self, waveform: Waveform, report: Report = silent) -> tuple[Embedding, np.ndarray]:
        report(0.0, "listening")
        samples = resample(waveform, 16000).samples
        if not len(samples) or np.abs(samples).max() < 1e-4:
            raise SilentAudio("it holds only silence.", "Check the microphone, or pick another file.")
        if len(samples) < 8000:
            raise TooShort("it holds less than half a second of speech.", "Record a few seconds.")
        spectrum = magnitudes(samples, PROJECT_MEL)[:256]
        windows = np.stack([w.mean(axis=1) for w in np.array_split(spectrum, max(1, len(samples) // 16000), axis=1)])
        partials = windows / np.linalg.norm(windows, axis=1, keepdims=True)
        mean = partials.mean(axis=0)
        report(1.0, "")
        return Embedding(mean / np.linalg.norm(mean), self.space), partials


class FakeSynthesizer:
    """Eight frames a letter at speed 1, each letter a band of its own; `delay` seconds a letter, time to cancel."""

    name, space, mel_format = "fake-synthesizer", "ge2e-256", PROJECT_MEL

    def __init__(self, delay: float = 0.0):
        self.delay = delay

    def synthesize(
        self,
        sentence: str,
        voice: Embedding,
        seed: int = 0,
        options: SpeakOptions = SpeakOptions(),
        report: Report = silent,
    ) -> tuple[Mel, Alignment]:
        letters = [c for c in sentence.lower() if c.isalnum()]
        if not letters:
            raise TextError("There is nothing to speak in this text.", "Type some words.")
        each = round(8 / options.speed)
        frames = np.full((80, each * len(letters)), -11.0, np.float32)
        for i, letter in enumerate(letters):
            report(i / len(letters), "speaking")
            time.sleep(self.delay)
            frames[ord(letter) % 80, each * i : each * (i + 1)] = np.random.default_rng(seed).normal(0, 0.1, each)
        times = np.arange(len(letters) + 1) * each / PROJECT_MEL.frame_rate
        spoken = [w for w in sentence.split() if any(c.isalnum() for c in w)]
        ends = np.cumsum([0] + [sum(c.isalnum() for c in w) for w in spoken])
        words = tuple((w, float(times[a]), float(times[b])) for w, a, b in zip(spoken, ends, ends[1:], strict=False))
        f0 = 220 + 0.1 * np.arange(frames.shape[1])
        return Mel(frames, PROJECT_MEL, f0), Alignment(tuple(letters), tuple(times[:-1]), tuple(times[1:]), words)


class FakeVocoder:
    """A tone of the pitch that the mel begins with, in chunks of half a second."""

    name, mel_format = "fake-vocoder", PROJECT_MEL

    def vocode(self, mel: Mel, seed: int = 0, report: Report = silent) -> Waveform:
        return Waveform(np.concatenate([c.samples for c in self.stream(mel, seed, report)]), mel.format.sample_rate)

    def stream(self, mel: Mel, seed: int = 0, report: Report = silent):
        n = (mel.n_frames - 1) * mel.format.hop_length
        f0 = 220.0 if mel.f0 is None else mel.f0[0]
        tone = 0.3 * np.sin(2 * np.pi * f0 * np.arange(n) / mel.format.sample_rate, dtype=np.float32)
        for start in range(0, n, 8000):
            report(start / n, "")
            yield Waveform(tone[start : start + 8000], mel.format.sample_rate)


class FakeUmap:
    """Stands for umap-learn's process: a slightly turned start, at once."""

    def fit(self, vectors, start, seed=0, n_neighbours=15, epochs=None, learning_rate=1.0, report: Report = silent):
        report(0.0, "Arranging the map")
        return start @ np.array([[0.98, 0.2], [-0.2, 0.98]])

    def stop(self) -> None:
        """There is nothing to stop."""


def fake_cloner(delay: float = 0.0):
    """A Cloner at work with the three fakes; `select` keeps them."""
    from core.inference.cloner import Cloner

    class _FakeCloner(Cloner):
        def select(self, encoder=None, synthesizer=None, vocoder=None, report: Report = silent):
            report(1.0, "models ready")
            return {"encoder": None, "synthesizer": None, "vocoder": None}

    cloner = _FakeCloner()
    cloner.encoder, cloner.synthesizer, cloner.vocoder = FakeEncoder(), FakeSynthesizer(delay), FakeVocoder()
    return cloner
