"""A real recording through a virtual microphone, a real playback heard at a virtual loudspeaker."""

import os
import threading
import time

import numpy as np
import pytest
from audio_server import RATE, audio_server  # noqa: F401  a fixture

from core.audio.device import Player, Recorder, input_devices, output_devices
from core.audio.io import write_audio
from core.audio.transform import resample, rms_db
from core.errors import DeviceError
from core.types import Waveform


def tone(hertz=440.0, seconds=1.0, sample_rate=48000, amplitude=0.5):
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return Waveform((amplitude * np.sin(2 * np.pi * hertz * t)).astype("f4"), sample_rate)


def hiss(seconds, sample_rate, seed=0):
    """Noise below 3 kHz, so that it survives any sample rate here, and correlates with nothing but itself."""
    noise = Waveform(np.random.default_rng(seed).normal(0, 0.1, round(seconds * 6000)).clip(-1, 1), 6000)
    return resample(noise, sample_rate)


def until(condition, seconds=10.0):
    """Waits for something that another thread or program does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def found_in(heard, wanted):
    """Where, in seconds, `wanted` lies in what was heard, and how alike the two are there (correlation)."""
    wanted = resample(wanted, RATE).samples
    size = 1 << (len(heard) + len(wanted)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)[: len(heard)]
    at = int(np.argmax(product))
    part = heard[at : at + len(wanted)]
    return at / RATE, float(np.corrcoef(part, wanted[: len(part)])[0, 1]) if len(part) == len(wanted) else 0.0


@pytest.fixture
def recorder(audio_server):  # noqa: F811
    recorder = Recorder()
    yield recorder
    recorder.stop()


@pytest.fixture
def player(audio_server):  # noqa: F811
    player = Player()
    yield player
    player.stop()


def test_the_virtual_devices_are_listed(audio_server):  # noqa: F811
    for devices in (input_devices(), output_devices()):
        assert [device.is_default for device in devices] == [True]
        assert devices[0].sample_rate > 0 and devices[0].channels > 0


def test_recording_hears_what_is_said(audio_server, recorder, tmp_path):  # noqa: F811
    write_audio(tmp_path / "tone.wav", tone(440, 1.5))
    recorder.start()
    assert recorder.running
    saying = audio_server.say(tmp_path / "tone.wav")
    until(lambda: recorder.level().rms_db > -12)
    assert recorder.level().peak_db == pytest.approx(-6, abs=1) and not recorder.level().clipped
    saying.wait(10)
    until(lambda: recorder.level().rms_db < -60)
    elapsed = recorder.elapsed
    waveform = recorder.stop()
    assert not recorder.running and recorder.error is None
    assert waveform.seconds == pytest.approx(elapsed, abs=0.2)
    loud = np.flatnonzero(np.abs(waveform.samples) > 0.01)
    heard = waveform.samples[loud[0] : loud[-1]]
    assert len(heard) / waveform.sample_rate == pytest.approx(1.5, abs=0.05)
    assert rms_db(heard) == pytest.approx(-9.03, abs=0.3)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * waveform.sample_rate / len(heard) == pytest.approx(440, abs=1)


def test_what_is_recorded_is_what_was_said(audio_server, recorder, tmp_path):  # noqa: F811
    sound = hiss(1.5, 48000, seed=3)
    write_audio(tmp_path / "hiss.wav", sound)
    recorder.start()
    until(lambda: recorder.elapsed > 0.1)
    audio_server.say(tmp_path / "hiss.wav").wait(10)
    time.sleep(0.3)
    assert found_in(resample(recorder.stop(), RATE).samples, sound)[1] > 0.98


def test_clipping_is_seen(audio_server, recorder, tmp_path):  # noqa: F811
    samples = np.clip(3 * tone(300, 0.6).samples, -1, 1)
    write_audio(tmp_path / "too_loud.wav", Waveform(samples, 48000))
    recorder.start()
    audio_server.say(tmp_path / "too_loud.wav").wait(10)
    until(lambda: recorder.level().clipped)


def test_recording_ends_by_itself_when_its_time_is_up(audio_server):  # noqa: F811
    recorder = Recorder(max_seconds=0.5)
    recorder.start()
    until(lambda: not recorder.running)
    assert recorder.error is None
    assert recorder.stop().seconds == pytest.approx(0.5, abs=0.001)


def test_stopped_early_and_started_again(recorder):
    recorder.start()
    recorder.start()  # a second click
    until(lambda: recorder.elapsed > 0.3)
    first = recorder.stop()
    assert recorder.stop().seconds == first.seconds > 0.3
    recorder.start()
    assert recorder.elapsed < 0.3
    until(lambda: recorder.elapsed > 0.1)


def test_unplugged_while_recording_keeps_what_was_recorded(audio_server, recorder):  # noqa: F811
    recorder.start()
    until(lambda: recorder.elapsed > 0.5)
    try:
        audio_server.unplug()
        until(lambda: not recorder.running)
        assert isinstance(recorder.error, DeviceError) and "went away" in recorder.error.message
        assert recorder.stop().seconds > 0.5
        with pytest.raises(DeviceError):
            recorder.start()
    finally:
        audio_server.plug()
    recorder.start()
    assert recorder.error is None
    until(lambda: recorder.elapsed > 0.2)


def test_a_device_that_is_gone_is_named(audio_server):  # noqa: F811
    from dataclasses import replace

    gone = replace(input_devices()[0], name="Grandmother's microphone")
    with pytest.raises(DeviceError, match="Grandmother's microphone is gone"):
        Recorder(gone).start()


@pytest.mark.parametrize("sample_rate", [16000, 22050, 48000])
def test_playback_is_heard_whole_and_in_order(audio_server, player, sample_rate):  # noqa: F811
    sound = hiss(1.5, sample_rate)
    third = len(sound.samples) // 3
    with audio_server.listening() as heard:
        player.start(sample_rate)
        for i in range(3):
            end = (i + 1) * third if i < 2 else len(sound.samples)
            player.feed(Waveform(sound.samples[i * third : end], sample_rate))
        player.finish()
        until(lambda: not player.playing)
    assert player.error is None
    assert player.position == pytest.approx(1.5, abs=0.01)
    assert found_in(heard[0], sound)[1] > 0.98


def test_a_late_piece_is_waited_for_in_silence(audio_server, player):  # noqa: F811
    first, second = hiss(0.4, 16000, seed=1), hiss(0.4, 16000, seed=2)
    with audio_server.listening() as heard:
        player.start(16000)
        player.feed(first)
        time.sleep(0.9)
        assert player.playing and player.position == pytest.approx(0.4, abs=0.001)
        worker = threading.Thread(target=player.feed, args=(second,))
        worker.start()
        worker.join()
        player.finish()
        until(lambda: not player.playing)
    (first_at, first_match), (second_at, second_match) = found_in(heard[0], first), found_in(heard[0], second)
    assert first_match > 0.98 and second_match > 0.98
    assert second_at - first_at == pytest.approx(0.9, abs=0.25)
    assert player.position == pytest.approx(0.8, abs=0.01)


def test_sound_for_a_device_that_refuses_its_rate_is_resampled_without_seams(audio_server, player, monkeypatch):  # noqa: F811
    import sounddevice

    class Picky(sounddevice.OutputStream):
        def __init__(self, samplerate, **rest):
            if samplerate == 16000:
                raise sounddevice.PortAudioError("Invalid sample rate")
            super().__init__(samplerate=samplerate, **rest)

    monkeypatch.setattr(sounddevice, "OutputStream", Picky)
    sound = hiss(1.2, 16000)
    with audio_server.listening() as heard:
        player.start(16000)
        # a long first piece: after a short one a busy machine may feed the next too late, which is a gap, not a seam
        for piece in np.split(sound.samples, range(8000, len(sound.samples), 1600)):
            player.feed(Waveform(piece, 16000))
        player.finish()
        until(lambda: not player.playing)
    assert found_in(heard[0], sound)[1] > 0.98
    assert player.position == pytest.approx(1.2, abs=0.01)


def test_stop_is_heard_at_once(audio_server, player):  # noqa: F811
    with audio_server.listening() as heard:
        player.start(48000)
        player.feed(tone(440, 5))
        until(lambda: player.position > 0.5)
        samples_so_far = os.path.getsize(audio_server.folder / "heard.raw") / 4
        started = time.monotonic()
        player.stop()
        took = time.monotonic() - started
        position = player.position
        player.feed(tone(880, 1))  # its maker does not know yet
        time.sleep(0.4)
    assert took < 0.05
    assert not player.playing and player.error is None
    assert player.position == position == pytest.approx(0.5, abs=0.1)
    last = np.flatnonzero(np.abs(heard[0]) > 0.01)[-1]
    assert (last - samples_so_far) / RATE < 0.05 + 0.05  # the listener itself is 20 to 50 ms late


def test_starting_anew_drops_what_was_playing(audio_server, player):  # noqa: F811
    player.start(48000)
    player.feed(tone(440, 5))
    until(lambda: player.position > 0.2)
    player.start(16000)
    assert player.position < 0.2
    player.feed(hiss(0.2, 16000))
    player.finish()
    until(lambda: not player.playing)
    assert player.position == pytest.approx(0.2, abs=0.01)


def test_unplugged_while_playing(audio_server, player):  # noqa: F811
    player.start(48000)
    player.feed(tone(440, 20))
    until(lambda: player.position > 0.3)
    try:
        audio_server.unplug()
        until(lambda: not player.playing)
        assert "loudspeaker" in player.error.message
        with pytest.raises(DeviceError):
            player.start(48000)
    finally:
        audio_server.plug()
    player.start(48000)
    assert player.playing and player.error is None


def test_devices_are_looked_for_again_only_while_no_stream_is_open(audio_server, recorder, monkeypatch):  # noqa: F811
    import sounddevice

    from core.audio import portaudio

    looked = []
    initialize = sounddevice._initialize
    monkeypatch.setattr(sounddevice, "_initialize", lambda: (looked.append(1), initialize()))
    monkeypatch.setattr(portaudio, "REFRESH", 0.0)
    recorder.start()
    assert input_devices() and not looked
    until(lambda: recorder.elapsed > 0.1)
    recorder.stop()
    assert input_devices() and looked
