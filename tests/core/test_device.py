"""Which devices are shown, and what is said where there is no sound at all."""

import builtins
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.audio import portaudio
from core.audio.portaudio import Device, sensible
from core.errors import DeviceError

ROOT = Path(__file__).resolve().parents[2]


def device(index, name, hostapi, default=False):
    return Device(index, name, hostapi, 48000, 2, default)


def test_alsa_routes_are_left_out_and_the_default_comes_first():
    names = ["HDA Intel: ALC (hw:0,0)", "sysdefault", "front", "surround51", "dmix", "pulse", "USB mic (hw:1,0)"]
    found = [device(i, name, "ALSA") for i, name in enumerate(names)] + [device(9, "default", "ALSA", True)]
    assert [d.name for d in sensible(found)] == ["default", "HDA Intel: ALC (hw:0,0)", "pulse", "USB mic (hw:1,0)"]


def test_windows_shows_each_device_once():
    found = [
        device(0, "Microphone (Realtek High Defini", "MME", True),
        device(1, "Microphone (Realtek High Definition)", "Windows DirectSound"),
        device(2, "Microphone (Realtek High Definition)", "Windows WASAPI"),
        device(3, "Mic", "Windows WDM-KS"),
    ]
    assert [d.hostapi for d in sensible(found)] == ["Windows WASAPI"]


def test_macos_and_nothing():
    found = [device(0, "Built-in Microphone", "Core Audio", True), device(1, "USB", "Core Audio")]
    assert sensible(found) == found
    assert sensible([]) == []


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def fail(name, *args, **kwargs):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(DeviceError, match="libportaudio2"):
        portaudio.input_devices()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="takes the devices away through ALSA's configuration")
def test_a_machine_without_sound_card(tmp_path):
    """In a process of its own: empty lists, DeviceErrors, and objects that can be tried again."""
    (tmp_path / "no_devices.conf").write_text("pcm.!default { type hw card 99 }\n")
    program = """
from core.audio.device import *
from core.errors import DeviceError
print(input_devices(), output_devices())
recorder, player = Recorder(), Player()
for start in (recorder.start, recorder.start, lambda: player.start(16000)):
    try:
        start()
    except DeviceError as error:
        print(error)
print(recorder.running, recorder.stop().seconds, player.playing, player.position)
player.stop()
"""
    pytest.importorskip("sounddevice", exc_type=OSError)
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(tmp_path / "no_devices.conf"), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stderr
    assert lines[0] == "[] []"
    assert lines[1].startswith("There is no microphone.") and lines[2] == lines[1]
    assert lines[3].startswith("There is no loudspeaker.")
    assert lines[4] == "False 0.0 False 0.0"
