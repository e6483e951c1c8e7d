"""From arguments to models and voices, for the verbs that need them. torch is imported when a model is loaded."""

import argparse
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.terminal import decoders_silent
from core.audio.io import read_audio
from core.errors import VoiceError
from core.inference import registry
from core.progress import Report, silent
from core.types import Embedding, Waveform


class Stages:
    """Seconds spent in each stage: `with stages("load"): ...`."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str):
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def load_model(arguments: argparse.Namespace, role: str, name: str | None = None) -> Any:
    """One model at work; the others may be missing or damaged. Raises ModelError."""
    from core.inference.cloner import use_one_thread

    model = registry.load(registry.find(role, name, arguments.pretrained))
    use_one_thread()
    return model


def load_cloner(arguments: argparse.Namespace, report: Report = silent) -> Any:
    """A Cloner with the models that the arguments name, else the best. Raises ModelError, naming what is wrong."""
    names = {role: getattr(arguments, role, None) for role in registry.ROLES}
    for role, name in names.items():
        registry.find(role, name, arguments.pretrained)  # says which file is damaged, where the choice would be silent
    from core.inference.cloner import Cloner

    cloner = Cloner(arguments.pretrained)
    cloner.select(**names, report=report)
    return cloner


def read(path: Path) -> Waveform:
    """`read_audio`, the decoders quiet. Raises AudioFileError."""
    with decoders_silent():
        return read_audio(path)


def embed_file(encoder: Any, path: Path, waveform: Waveform, report: Report = silent) -> Embedding:
    """The voice of a file. Raises what the encoder raises, naming the file."""
    try:
        return encoder.embed(waveform, report)[0]
    except VoiceError as error:
        raise type(error)(f"{Path(path).name}: {error.message}", error.hint) from error


def add_model_options(parser: argparse.ArgumentParser, *roles: str) -> None:
    for role in roles:
        parser.add_argument(f"--{role}", metavar="NAME", help=f"the {role}, as `models` lists it (default: the best)")
