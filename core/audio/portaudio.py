"""The sound library, and the devices it finds.

PortAudio looks for devices only when it initialises and is not thread-safe, so every call to it is made under one lock,
and it is initialised again only while no stream is open.
"""

import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any

from core.errors import DeviceError

REFRESH = 1.0  # seconds for which a device list stays good

# ALSA's names for routes to cards it lists by themselves anyway, and for its conversion plugins.
ROUTES = ("front", "rear", "surround", "iec958", "spdif", "hdmi", "center_lfe", "side", "modem", "phoneline")
ROUTES += ("dmix", "dsnoop", "sysdefault", "lavrate", "samplerate", "speex", "upmix", "vdownmix", "jack", "oss", "null")

lock = threading.RLock()
"""Held around every call to PortAudio, never taken in its callbacks."""

open_streams: "weakref.WeakSet[Any]" = weakref.WeakSet()
"""Recorders and players with an open stream, each with a method `close_if_over`."""

_initialised = 0.0


@dataclass(frozen=True)
class Device:
    """A microphone or a loudspeaker. sample_rate: its own, in Hz; channels: as many as it has in this direction."""

    index: int
    name: str
    hostapi: str
    sample_rate: int
    channels: int
    is_default: bool


def input_devices() -> list[Device]:
    """The microphones, the default one first; a newly plugged one too, unless a stream is open. Slow (up to a second).

    Empty where there is none. Raises DeviceError when sound cannot work at all (no PortAudio).
    """
    return _devices("input")


def output_devices() -> list[Device]:
    """The loudspeakers; see `input_devices`."""
    return _devices("output")


def sounddevice() -> Any:
    """The sounddevice module, PortAudio initialised. Raises DeviceError."""
    global _initialised
    try:
        import sounddevice
    except (OSError, ImportError) as error:
        raise DeviceError(
            "Sound devices cannot be used: the PortAudio library is missing.",
            "On Debian or Ubuntu: sudo apt install libportaudio2. Elsewhere: pip install sounddevice.",
        ) from error
    _initialised = _initialised or time.monotonic()
    return sounddevice


def _refresh() -> None:
    """Lets PortAudio look for devices again, if no stream is open and the last look is not fresh."""
    global _initialised
    library = sounddevice()
    for stream in list(open_streams):
        stream.close_if_over()
    if len(open_streams) or time.monotonic() - _initialised < REFRESH:
        return
    library._terminate()
    library._initialize()
    _initialised = time.monotonic()


def _devices(direction: str) -> list[Device]:
    with lock:
        _refresh()
        library = sounddevice()
        hostapis = library.query_hostapis()
        default = library.default.device[0 if direction == "input" else 1]
        found = []
        for index, info in enumerate(library.query_devices()):
            hostapi = hostapis[info["hostapi"]]["name"]
            channels = info[f"max_{direction}_channels"]
            rate = round(info["default_samplerate"])
            if channels > 0 and rate > 0:
                found.append(Device(index, info["name"], hostapi, rate, channels, index == default))
    return sensible(found)


def sensible(devices: list[Device]) -> list[Device]:
    """Without what names the same device again, the default first.

    Windows lists each device once per programming interface: of those, one is kept, WASAPI first (whole names, no
    resampling of its own). ALSA lists each card once per route.
    """
    hostapis = {device.hostapi for device in devices}
    preferred = next((api for api in ("Windows WASAPI", "Windows DirectSound", "MME") if api in hostapis), None)
    kept: dict[tuple[str, str], Device] = {}
    for device in devices:
        if preferred and device.hostapi != preferred:
            continue
        route = device.hostapi == "ALSA" and device.name.lower().startswith(ROUTES)
        if device.is_default or (not route and (device.name, device.hostapi) not in kept):
            kept[device.name, device.hostapi] = device
    return sorted(kept.values(), key=lambda device: not device.is_default)
