"""A private sound server with a virtual microphone and a virtual loudspeaker, so that tests record and play for real.

Use: `from audio_server import audio_server` in a test module (a session fixture), then take `audio_server` as argument.
PulseAudio runs unseen in a temporary folder; ALSA, and so PortAudio, sees it alone, as the device "default".
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import numpy as np
import pytest

PROGRAMS = ("pulseaudio", "pactl", "paplay", "parec")
ALSA_CONFIG = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
RATE = 48000


class AudioServer:
    """PulseAudio with null sinks: what is played into "cable" the microphone hears; "speaker" can be listened to."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sound"))
        (self.folder / "asound.conf").write_text(ALSA_CONFIG)
        self.environment = {
            "ALSA_CONFIG_PATH": str(self.folder / "asound.conf"),
            "PULSE_SERVER": f"unix:{self.folder / 'native'}",
            "PULSE_RUNTIME_PATH": str(self.folder),
            "PULSE_STATE_PATH": str(self.folder),
            "PULSE_COOKIE": str(self.folder / "cookie"),
        }
        self._modules: list[str] = []
        self._listeners: list[subprocess.Popen] = []
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [
            "pulseaudio",
            "-n",
            "--daemonize=no",
            "--exit-idle-time=60",
            "--use-pid-file=no",
            "--disable-shm=yes",
        ]
        self._process = subprocess.Popen(
            [*command, f"--load=module-native-protocol-unix socket={self.folder / 'native'} auth-anonymous=1"],
            env={**os.environ, **self.environment, "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("w"),
        )
        deadline = time.monotonic() + 20
        while subprocess.run(["pactl", "info"], env=self._env(), capture_output=True, timeout=20).returncode:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError("pulseaudio does not start: " + (self.folder / "log").read_text()[-2000:])
            time.sleep(0.1)
        self.plug()

    def stop(self) -> None:
        for process in (*self._listeners, self._process):
            if process is not None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def plug(self) -> None:
        """Microphone and loudspeaker are there (again)."""
        for sink in ("cable", "speaker"):
            self._modules.append(self._pactl("load-module", "module-null-sink", f"sink_name={sink}", f"rate={RATE}"))
        self._pactl("set-default-source", "cable.monitor")
        self._pactl("set-default-sink", "speaker")
        self._keep_awake("cable", "speaker")

    def unplug(self) -> None:
        """Takes both away: were one left, PulseAudio would move the streams of the other to it."""
        while self._modules:
            self._pactl("unload-module", self._modules.pop())

    def say(self, path: Path) -> subprocess.Popen:
        """Plays a wav file into the virtual microphone; returns at once."""
        return subprocess.Popen(["paplay", "--device=cable", str(path)], env=self._env())

    @contextlib.contextmanager
    def listening(self):
        """Captures the virtual loudspeaker; the list it gives holds one float32 array (n,) at RATE after the block."""
        heard: list[np.ndarray] = []
        path = self.folder / "heard.raw"
        with path.open("wb") as file:
            command = ["parec", "--device=speaker.monitor", "--format=float32le", f"--rate={RATE}", "--channels=1"]
            process = subprocess.Popen([*command, "--latency-msec=20"], stdout=file, env=self._env())
            deadline = time.monotonic() + 10
            while path.stat().st_size == 0 and time.monotonic() < deadline:  # a monitor sends silence from the start
                time.sleep(0.02)
            try:
                yield heard
                time.sleep(0.3)
            finally:
                process.terminate()
                process.wait(5)
        heard.append(np.fromfile(path, np.float32))

    def _env(self) -> dict:
        return {**os.environ, **self.environment}

    def _pactl(self, *words: str) -> str:
        return subprocess.run(
            ["pactl", *words], env=self._env(), check=True, capture_output=True, text=True
        ).stdout.strip()

    def _keep_awake(self, *sinks: str) -> None:
        """Listens to null sinks in small pieces: alone they would move their sound in blocks of two seconds."""
        started = []
        for sink in sinks:
            command = ["parec", f"--device={sink}.monitor", "--latency-msec=20"]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            started.append(subprocess.Popen(command, env=self._env(), **pipes))
        self._listeners += started
        for process in started:
            process.stdout.read(1)  # the first block may still be one of two seconds
            threading.Thread(target=_drain, args=(process.stdout,), daemon=True).start()


def _drain(pipe: IO) -> None:
    while pipe.read(1 << 16):
        pass


def look_again() -> None:
    """Makes PortAudio, where it is loaded already, see the devices of the present environment."""
    if "sounddevice" in sys.modules:
        import sounddevice

        sounddevice._terminate()
        sounddevice._initialize()


def missing() -> str:
    """Why no sound server can be started here, or nothing."""
    if not sys.platform.startswith("linux"):
        return "virtual sound devices need Linux and PulseAudio"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt install pulseaudio pulseaudio-utils)"
    folders = [*Path("/usr/lib").glob("*/alsa-lib"), Path("/usr/lib/alsa-lib"), Path("/usr/lib64/alsa-lib")]
    if not any((folder / "libasound_module_pcm_pulse.so").exists() for folder in folders):
        return "ALSA's pulse plugin not installed (apt install libasound2-plugins)"
    return ""


@pytest.fixture(scope="session")
def audio_server():
    """A running AudioServer that this process's PortAudio sees as its only devices."""
    if missing():
        pytest.skip(missing())
    server = AudioServer()
    before = {name: os.environ.get(name) for name in server.environment}
    try:
        server.start()
        os.environ.update(server.environment)
        look_again()
        yield server
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        server.stop()
        look_again()
