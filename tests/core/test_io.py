"""Reading every kind of sound file a person may have, and every kind that is none; writing without losing what was."""

import os
import sys

import numpy as np
import pytest
import soundfile

from core.audio import io
from core.audio.io import read_audio, write_audio
from core.audio.transform import rms_db
from core.errors import AudioFileError
from core.types import Waveform


def tone(hertz=440.0, seconds=1.0, sample_rate=16000, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate)).astype("f4")


def main_frequency(waveform):
    spectrum = np.abs(np.fft.rfft(waveform.samples * np.hanning(len(waveform.samples))))
    return np.argmax(spectrum) * waveform.sample_rate / len(waveform.samples)


@pytest.mark.parametrize(
    "name, sample_rate, channels, subtype, format",
    [
        ("eight_bit.wav", 16000, 1, "PCM_U8", "WAV"),
        ("cd.wav", 44100, 2, "PCM_16", "WAV"),
        ("studio.wav", 96000, 1, "PCM_24", "WAV"),
        ("float.wav", 48000, 1, "FLOAT", "WAV"),
        ("telephone.wav", 8000, 1, "ULAW", "WAV"),
        ("cinema.wav", 48000, 6, "PCM_16", "WAVEX"),
        ("a.flac", 22050, 2, "PCM_24", "FLAC"),
        ("a.ogg", 32000, 1, "VORBIS", "OGG"),
        ("a.opus", 48000, 2, "OPUS", "OGG"),
        ("a.mp3", 44100, 2, "MPEG_LAYER_III", "MP3"),
        ("wrong_suffix.mp3", 16000, 1, "PCM_16", "WAV"),
        ("Голос моей бабушки é 声.wav", 16000, 1, "PCM_16", "WAV"),
    ],
)
def test_reads_what_people_have(tmp_path, name, sample_rate, channels, subtype, format):
    path = tmp_path / name
    samples = np.repeat(tone(sample_rate=sample_rate)[:, None], channels, axis=1)
    soundfile.write(path, samples, sample_rate, subtype=subtype, format=format)
    waveform = read_audio(path)
    assert waveform.sample_rate == sample_rate
    assert waveform.samples.dtype == np.float32 and waveform.samples.ndim == 1
    assert waveform.seconds == pytest.approx(1.0, abs=0.06)
    assert main_frequency(waveform) == pytest.approx(440, abs=2)
    assert rms_db(waveform.samples) == pytest.approx(rms_db(tone()), abs=0.7)


def test_opposite_channels_and_a_single_live_channel_are_heard(tmp_path):
    soundfile.write(tmp_path / "wired_backwards.wav", np.stack([tone(), -tone()], 1), 16000)
    lonely = np.zeros((16000, 6), "f4")
    lonely[:, 4] = tone()
    soundfile.write(tmp_path / "lonely.wav", lonely, 16000)
    for name in ("wired_backwards.wav", "lonely.wav"):
        assert rms_db(read_audio(tmp_path / name).samples) == pytest.approx(rms_db(tone()), abs=0.1)


def test_nan_infinity_and_absurd_samples_become_silence(tmp_path):
    samples = tone()
    samples[[10, 20, 30]] = np.nan, np.inf, -3e30
    soundfile.write(tmp_path / "damaged.wav", samples, 16000, subtype="FLOAT")
    read = read_audio(tmp_path / "damaged.wav").samples
    assert not read[[10, 20, 30]].any()
    np.testing.assert_allclose(read[40:], tone()[40:])


def test_float_files_beyond_full_scale_are_turned_down(tmp_path):
    soundfile.write(tmp_path / "loud.wav", 4 * tone(), 16000, subtype="FLOAT")
    samples = read_audio(tmp_path / "loud.wav").samples
    np.testing.assert_allclose(samples, 2 * tone(), atol=1e-3)


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.wav", "a.ogg", "a.opus"])
def test_of_a_truncated_file_the_rest_is_used(tmp_path, name):
    format, subtype = {"mp3": ("MP3", None), "opus": ("OGG", "OPUS")}.get(name[2:], (name[2:].upper(), None))
    noisy = tone(seconds=4, sample_rate=48000) + np.random.default_rng(0).normal(0, 0.05, 192000)
    soundfile.write(tmp_path / name, noisy, 48000, format=format, subtype=subtype)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    waveform = read_audio(tmp_path / name)
    assert 0.5 < waveform.seconds < 3  # an ogg page holds a second
    assert main_frequency(waveform) == pytest.approx(440, abs=2)


def not_sound(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("Dear diary, this is no sound. " * 200)
    (tmp_path / "film.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(range(256)) * 20)
    (tmp_path / "samples.raw").write_bytes(bytes(4000))
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "no_samples.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "header.flac", tone(), 16000)
    (tmp_path / "header.flac").write_bytes((tmp_path / "header.flac").read_bytes()[:200])
    soundfile.write(tmp_path / "slow.wav", tone(), 100)
    return tmp_path


@pytest.mark.parametrize(
    "name, message, hint",
    [
        ("empty.wav", "empty", "again"),
        ("text.wav", "not a sound file", "another"),
        ("film.m4a", "not a sound file", "Convert it to wav"),
        ("samples.raw", "not a sound file", "Convert it to wav"),
        ("folder.wav", "folder", "files inside"),
        ("vanished.wav", "does not exist", "pick it again"),
        ("no_samples.wav", "no sound", "another"),
        ("header.flac", "no sound", "another"),
        ("slow.wav", "sample rate of 100 Hz", "Convert"),
        ("null\0character.wav", "cannot be read", "Copy"),
    ],
)
def test_what_is_no_sound_is_named_with_what_to_do(tmp_path, name, message, hint):
    with pytest.raises(AudioFileError) as caught:
        read_audio(not_sound(tmp_path) / name)
    assert name in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may read everything")
def test_forbidden_file(tmp_path):
    soundfile.write(tmp_path / "secret.wav", tone(), 16000)
    (tmp_path / "secret.wav").chmod(0)
    with pytest.raises(AudioFileError, match="may not be read"):
        read_audio(tmp_path / "secret.wav")


def test_permission_error_is_explained(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "secret.wav", tone(), 16000)

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(AudioFileError, match="may not be read"):
        read_audio(tmp_path / "secret.wav")


@pytest.mark.parametrize("name", ["long.wav", "long.mp3"])
def test_too_long_a_file_is_refused_with_its_length(tmp_path, monkeypatch, name):
    monkeypatch.setattr(io, "MAX_SECONDS", 2)
    soundfile.write(tmp_path / name, tone(seconds=3), 16000)
    with pytest.raises(AudioFileError, match=rf"{name} lasts .* at most"):
        read_audio(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mp3", "a.opus", "a.ogg", "a.flac"])
def test_reading_in_blocks_changes_no_sample(tmp_path, name):
    format, subtype = {"mp3": ("MP3", None), "opus": ("OGG", "OPUS")}.get(name[2:], (name[2:].upper(), None))
    soundfile.write(tmp_path / name, tone(seconds=2, sample_rate=48000), 48000, format=format, subtype=subtype)
    whole, _ = soundfile.read(tmp_path / name, dtype="float32")
    np.testing.assert_array_equal(read_audio(tmp_path / name).samples, whole)


@pytest.mark.parametrize("name, tolerance", [("voice.wav", 1e-4), ("voice.flac", 1e-4), ("голос.OGG", 0.05)])
def test_what_is_written_reads_back(tmp_path, name, tolerance):
    write_audio(tmp_path / name, Waveform(tone(), 16000))
    read = read_audio(tmp_path / name)
    assert read.sample_rate == 16000
    np.testing.assert_allclose(read.samples, tone(), atol=tolerance)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_minutes_of_ogg(tmp_path):
    write_audio(tmp_path / "long.ogg", Waveform(np.tile(tone(), 150), 16000))
    assert read_audio(tmp_path / "long.ogg").seconds == pytest.approx(150, abs=0.1)


def test_writing_turns_down_rather_than_clips(tmp_path):
    write_audio(tmp_path / "loud.wav", Waveform(3 * tone(), 16000))
    np.testing.assert_allclose(read_audio(tmp_path / "loud.wav").samples, 2 * tone(), atol=1e-3)


@pytest.mark.parametrize(
    "name, message",
    [
        ("voice.xyz", "must end in .wav, .flac, .ogg"),
        ("voice", "must end in"),
        ("gone/voice.wav", "does not exist"),
        ("folder.wav", "is a folder"),
    ],
)
def test_what_cannot_be_written_says_why(tmp_path, name, message):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AudioFileError, match=message) as caught:
        write_audio(tmp_path / name, Waveform(tone(), 16000))
    assert caught.value.hint
    assert len(list(tmp_path.iterdir())) == 1


def test_nothing_to_write(tmp_path):
    with pytest.raises(AudioFileError, match="no sound"):
        write_audio(tmp_path / "voice.wav", Waveform(np.zeros(0), 16000))


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), soundfile.LibsndfileError(2)])
def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, failure):
    path = tmp_path / "voice.wav"
    write_audio(path, Waveform(tone(), 16000))
    before = path.read_bytes()

    def fail(*args):
        raise failure

    monkeypatch.setattr(io, "_encode", fail)
    with pytest.raises(AudioFileError, match="cannot be written"):
        write_audio(path, Waveform(tone(880), 16000))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that takes no files")
def test_a_folder_that_takes_no_files():
    with pytest.raises(AudioFileError, match="cannot be written"):
        write_audio("/proc/self/voice.wav", Waveform(tone(), 16000))
