"""Random crops of recorded speech, varied in level, pitch and noise, for a vocoder to make again."""

import numpy as np

from core.training.data import SAMPLE_RATE, SpeechCache


def between(track: np.ndarray, at: np.ndarray) -> np.ndarray:
    """F0 at fractional frames `at`: on the line between two voiced frames, at the edges of voicing the nearest's."""
    at = np.clip(at, 0, len(track) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(track) - 1)
    line = track[low] + (at - low) * (track[high] - track[low])
    return np.where((track[low] > 0) & (track[high] > 0), line, track[np.round(at).astype(int)])


class Crops:
    """Draws crops from `rows` of the cache; a speaker's share grows with the square root of its seconds.

    samples: per crop. labels: row -> F0 every `hop` samples; when given, crops begin on label times and bring their F0.
    strangers: share of the crops that are played faster or slower, so that somebody else speaks.
    """

    def __init__(
        self,
        cache: SpeechCache,
        rows: list[int],
        samples: int,
        seed: int,
        labels: dict | None = None,
        hop: int = 200,
        strangers: float = 0.3,
    ):
        self.cache, self.samples, self.labels, self.hop, self.strangers = cache, samples, labels, hop, strangers
        self.rng = np.random.default_rng(seed)
        longest = int(samples * 1.3) + hop
        lengths = {i: int(cache.offsets[i + 1] - cache.offsets[i]) for i in rows}
        self.rows = np.array([i for i in rows if lengths[i] > longest])
        of_speaker: dict[str, float] = {}
        for i in self.rows:
            speaker = cache.rows[i].set + cache.rows[i].speaker
            of_speaker[speaker] = of_speaker.get(speaker, 0) + lengths[i]
        weights = [lengths[i] / of_speaker[cache.rows[i].set + cache.rows[i].speaker] ** 0.5 for i in self.rows]
        self.weights = np.cumsum(weights) / np.sum(weights)

    def batch(self, n: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, samples) float32 sound, and with labels its F0 in Hz (n, samples // hop + 1), 0 where unknown."""
        crops = [self._crop() for _ in range(n)]
        sound = np.stack([c[0] for c in crops])
        return sound, np.stack([c[1] for c in crops]) if self.labels is not None else None

    def _crop(self) -> tuple[np.ndarray, np.ndarray | None]:
        rng = self.rng
        for _ in range(4):  # mostly avoid silence
            i = int(self.rows[np.searchsorted(self.weights, rng.random())])
            # the pitch is multiplied by this
            ratio = 2 ** rng.uniform(-0.3, 0.3) if rng.random() < self.strangers else 1.0
            needed = int(np.ceil(self.samples * ratio)) + 8
            a, b = int(self.cache.offsets[i]), int(self.cache.offsets[i + 1])
            start = int(rng.integers(0, (b - a - needed) // self.hop)) * self.hop
            sound = self.cache.samples(i)[start : start + needed]
            if np.sqrt(np.mean(sound**2)) > 2e-3:
                break
        if ratio != 1.0:
            import soxr

            sound = soxr.resample(sound, SAMPLE_RATE * ratio, SAMPLE_RATE)
            sound = np.pad(sound, (0, max(0, self.samples - len(sound))))
        f0 = None
        if self.labels is not None:
            at = start / self.hop + np.arange(self.samples // self.hop + 1) * ratio
            f0 = (between(self.labels[i], at) * ratio).astype(np.float32)
        return self._vary(sound[: self.samples]), f0

    def _vary(self, sound: np.ndarray) -> np.ndarray:
        rng = self.rng
        peak = np.abs(sound).max() + 1e-6
        sound = sound * min(10 ** (rng.uniform(-15, 9) / 20), 0.99 / peak)
        if rng.random() < 0.15:  # noise that a vocoder must give back, white to brownish
            noise = rng.standard_normal(len(sound))
            pole = rng.uniform(0, 0.9)
            noise = np.fft.irfft(
                np.fft.rfft(noise) / np.abs(1 - pole * np.exp(-1j * np.linspace(0, np.pi, len(sound) // 2 + 1))),
                len(sound),
            )
            level = np.sqrt(np.mean(sound**2)) * 10 ** (rng.uniform(-35, -12) / 20)
            sound = sound + noise * (level / (noise.std() + 1e-9))
        return np.clip(sound, -1, 1).astype(np.float32)
