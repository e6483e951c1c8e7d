"""What a recording may go through before an encoder hears it: noise, a telephone, cloth, a low bit rate."""

import io

import numpy as np

from core.audio.partials import rms_level

SAMPLE_RATE = 16000


def coloured_noise(n_samples: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of RMS 1 whose amplitude falls with frequency to the power `slope` (0 white, 0.5 pink) above 40 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    hz = np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE)
    noise = np.fft.irfft(spectrum * np.maximum(hz, 40) ** -slope, n=n_samples)
    return (noise / noise.std()).astype(np.float32)


def add_noise(samples: np.ndarray, noise: np.ndarray, ratio: float) -> np.ndarray:
    """The samples with noise `ratio` dB below them (both levels over the whole recording)."""
    return samples + noise * np.float32(10 ** ((rms_level(samples) - rms_level(noise) - ratio) / 20))


def babble(n_samples: int, voices: list[np.ndarray]) -> np.ndarray:
    """Several people at once, each at the same level, repeated to n_samples."""
    return sum(np.resize(voice, n_samples) * np.float32(10 ** (-rms_level(voice) / 20)) for voice in voices)


def telephone(samples: np.ndarray) -> np.ndarray:
    """300 to 3400 Hz, then 8-bit mu-law: a land line."""
    spectrum = np.fft.rfft(samples)
    hz = np.maximum(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), 1)
    # Fourth-order Butterworth slopes, without their phases.
    gain = 1 / np.sqrt((1 + (300 / hz) ** 8) * (1 + (hz / 3400) ** 8))
    narrow = np.fft.irfft(spectrum * gain, n=len(samples))
    peak = max(np.abs(narrow).max(), 1e-6)
    squeezed = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow) / peak) / np.log(256) * 127) / 127
    return (peak * np.sign(squeezed) * (256 ** np.abs(squeezed) - 1) / 255).astype(np.float32)


def muffled(samples: np.ndarray) -> np.ndarray:
    """From 400 Hz up 9 dB less with each octave: a microphone under cloth. As loud as before."""
    spectrum = np.fft.rfft(samples)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), 400) / 400)
    dull = np.fft.irfft(spectrum * 10 ** (-9 * octaves / 20), n=len(samples))
    return (dull * 10 ** ((rms_level(samples) - rms_level(dull)) / 20)).astype(np.float32)


def mp3(samples: np.ndarray, kilobits: int = 32) -> np.ndarray:
    """Through an MP3 encoder and back, at a constant bit rate near `kilobits` kbit/s (16 kHz mono allows 8 to 160)."""
    import soundfile

    file = io.BytesIO()
    level = 1 - (kilobits - 8) / (160 - 8)  # libsndfile: 0 the best of the format's rates, 1 the lowest
    with soundfile.SoundFile(
        file,
        "w",
        SAMPLE_RATE,
        1,
        subtype="MPEG_LAYER_III",
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=level,
    ) as out:
        out.write(np.clip(samples, -1, 1))
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]
