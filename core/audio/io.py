"""Sound files in and out: any file libsndfile decodes (no ffmpeg) to a mono Waveform; wav, flac and ogg, written whole.

libsndfile reads wav, flac, ogg (vorbis and opus), mp3, aiff, au, caf and more: any bit depth, rate, channel count.
"""

import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.audio.transform import mix_weights
from core.errors import AudioFileError
from core.types import Waveform

READABLE = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64")
"""What a file dialog offers; the content decides, not the name."""

WRITABLE = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
"""suffix -> libsndfile's format and subtype."""

MAX_SECONDS = 600
"""Longer files are refused: reading an hour of radio as one voice helps nobody, and its memory has no bound."""

DAMAGED = "It may be damaged, or not be sound at all: pick another."
CONVERT = "Convert it to wav, flac, ogg, opus or mp3."
BLOCK = 8192  # frames; what a damaged file loses at most
INSANE = 1e6  # a float sample beyond this is damage, not loudness


def read_audio(path: str | os.PathLike) -> Waveform:
    """The sound of a file as mono float32 in [-1, 1], at the file's own sample rate.

    Channels are mixed so that opposite phases do not cancel (`core.audio.transform.mix_weights`). NaN, infinite and
    absurd samples become 0; a float file that passes full scale is turned down to it. Of a damaged or truncated file,
    what can be decoded is returned. Silence is no error here.
    Raises AudioFileError: no such file, a folder, no permission, empty, no sound in it, a format libsndfile does not
    know (m4a, wma, text), a sample rate outside 4 to 384 kHz, longer than MAX_SECONDS.
    """
    path = Path(path)
    _check_readable(path)
    sample_rate, channels = _describe(path)
    weights = np.ones(1)
    if channels > 1:
        gram = np.zeros((channels, channels))
        for block in _blocks(path):
            block = block.astype(np.float64)
            gram += block.T @ block
        weights = mix_weights(gram)
    # A second pass, because six channels of ten minutes at 96 kHz would not fit in memory, and their mono mix does.
    parts = [(block @ weights.astype(np.float32)) for block in _blocks(path)]
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not len(samples):
        raise AudioFileError(f"{path.name} holds no sound that can be decoded.", DAMAGED)
    peak = float(np.abs(samples).max())
    if peak > 1:
        samples = np.clip(samples / np.float32(peak), -1, 1)
    return Waveform(samples, sample_rate)


def write_audio(path: str | os.PathLike, waveform: Waveform) -> None:
    """Writes wav (16 bit), flac (16 bit) or ogg (vorbis), as the suffix says: beside its place first, then into it, so
    that a failure leaves what was there. Sound that passes full scale is turned down, not clipped.

    Raises AudioFileError: another suffix, no such folder, no permission, disk full, a rate the format has not.
    """
    path = Path(path)
    check_target(path)
    if not len(waveform.samples):
        raise AudioFileError(f"There is no sound to write to {path.name}.", "Make or record some first.")
    target = Path(os.path.realpath(path))  # through a link, to the file it names
    beside = target.with_name(f".{uuid.uuid4().hex}{target.suffix}.part")
    try:
        beside.open("xb").close()  # finds a full or forbidden folder in the system's words, not the encoder's
        _encode(beside, waveform, *WRITABLE[path.suffix.lower()])
        if target.exists():
            shutil.copymode(target, beside)
        os.replace(beside, target)
    except OSError as error:
        reason = error.strerror or error
        raise AudioFileError(f"{path} cannot be written: {reason}.", "Write to another folder.") from error
    except (RuntimeError, ValueError) as error:  # soundfile's own are RuntimeErrors
        hint = "Check the free space, or choose another format."
        raise AudioFileError(f"{path} cannot be written: {_reason(error)}", hint) from error
    finally:
        beside.unlink(missing_ok=True)


def check_target(path: str | os.PathLike) -> None:
    """Finds before the work what `write_audio` would object to after it: suffix, folder. Raises AudioFileError."""
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        raise AudioFileError(
            f"{path.name} cannot be written: its name must end in {', '.join(WRITABLE)}.",
            f"Name it {path.stem or 'voice'}.wav, for example.",
        )
    if path.is_dir():
        raise AudioFileError(f"{path} is a folder.", "Give the file another name.")
    if not path.parent.is_dir():
        raise AudioFileError(f"The folder {path.parent} does not exist.", "Create it, or write elsewhere.")


def _check_readable(path: Path) -> None:
    """Finds what the system has against reading `path`, in words better than a decoder's. Raises AudioFileError."""
    try:
        kind = path.stat()
        if stat.S_ISDIR(kind.st_mode):
            raise AudioFileError(f"{path.name or path} is a folder, not a sound file.", "Pick the files inside it.")
        if not stat.S_ISREG(kind.st_mode):
            raise AudioFileError(f"{path.name} is not a regular file.", "Pick a wav, flac, ogg, opus or mp3 file.")
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError as error:
        raise AudioFileError(f"{path} does not exist.", "It may have been moved or renamed: pick it again.") from error
    except PermissionError as error:
        hint = "Change its permissions, or copy it to a folder of yours."
        raise AudioFileError(f"{path.name} may not be read.", hint) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        hint = "Copy the file elsewhere, and pick the copy."
        raise AudioFileError(f"{path} cannot be read: {reason}.", hint) from error
    if empty:
        raise AudioFileError(f"{path.name} is empty.", "The recording or download was cut off: make it again.")


def _describe(path: Path) -> tuple[int, int]:
    """Sample rate in Hz, number of channels. Raises AudioFileError."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            sample_rate, channels = file.samplerate, file.channels
            # Only a hint (a truncated file's header lies); `_blocks` counts what really comes.
            seconds = min(file.frames, path.stat().st_size * 1000) / max(sample_rate, 1)
    except (RuntimeError, TypeError, ValueError) as error:  # TypeError: a .raw file, which says nothing of itself
        known = path.suffix.lower() in READABLE
        raise AudioFileError(
            f"{path.name} is not a sound file that can be read.", DAMAGED if known else CONVERT
        ) from error
    if not 4000 <= sample_rate <= 384000:
        raise AudioFileError(f"{path.name} has a sample rate of {sample_rate} Hz.", "Convert it to 16000 Hz or more.")
    if seconds > MAX_SECONDS and path.suffix.lower() != ".mp3":
        _refuse_length(path, seconds)
    return sample_rate, channels


def _blocks(path: Path) -> Iterator[np.ndarray]:
    """The file's samples, float32 (up to BLOCK, n_channels), finite, until its end or its first damage.

    Raises AudioFileError past MAX_SECONDS, or when the file went away.
    """
    import soundfile

    class Sequential(soundfile.SoundFile):
        """soundfile seeks to where it stands after each read of a seekable file, and mp3 loses samples by it."""

        def seekable(self) -> bool:
            return False

    try:
        with Sequential(path) as file:
            count, most = 0, MAX_SECONDS * file.samplerate
            while True:
                try:
                    block = file.read(BLOCK, dtype="float32", always_2d=True)
                except RuntimeError:  # damage: what came before it stands
                    return
                if not len(block):
                    return
                count += len(block)
                if count > most:
                    _refuse_length(path, max(count, min(file.frames, 100 * most)) / file.samplerate)
                yield np.where(np.abs(block) < INSANE, block, np.float32(0))  # a comparison with NaN is false
    except RuntimeError as error:
        hint = "It may have been moved: pick it again."
        raise AudioFileError(f"{path.name} cannot be read: {_reason(error)}", hint) from error


def _refuse_length(path: Path, seconds: float) -> None:
    raise AudioFileError(
        f"{path.name} lasts {seconds / 60:.0f} minutes; at most {MAX_SECONDS // 60} are read.",
        "Cut out a part in which one person speaks; 10 to 60 seconds are plenty.",
    )


def _encode(path: Path, waveform: Waveform, format: str, subtype: str) -> None:
    import soundfile

    peak = float(np.abs(waveform.samples).max())
    gain = np.float32(1 / peak if peak > 1 else 1)
    with soundfile.SoundFile(path, "w", waveform.sample_rate, 1, subtype=subtype, format=format) as file:
        # In blocks: libsndfile's vorbis encoder overruns its stack on minutes of sound in one call.
        for start in range(0, len(waveform.samples), BLOCK):
            file.write(waveform.samples[start : start + BLOCK] * gain)


def _reason(error: Exception) -> str:
    text = str(error).split("': ", 1)[-1].strip()
    return text or "its data is damaged."
