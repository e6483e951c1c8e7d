"""Finds the models in `pretrained/`, reads their cards without torch, and loads them.

A published model is one safetensors file, `pretrained/<role>/<name>.safetensors`. The header's metadata holds the card
as JSON under "card". The architecture is looked up in the table below, never imported from the file.
"""

import importlib
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.types import PROJECT_MEL, MelFormat

ROLES = ("encoder", "synthesizer", "vocoder")
PRETRAINED = Path(__file__).resolve().parents[2] / "pretrained"
SCHEMA = 1

# architecture -> (role, module, class). The class is built as cls(card, tensors) in the models lane;
# tensors: dict of name -> torch tensor, empty for an architecture without weights.
ARCHITECTURES = {
    "tempo": ("synthesizer", "core.inference.synthesizer", "TempoSynthesizer"),
    "voiceprint": ("encoder", "core.inference.encoder", "VoiceprintEncoder"),
    "ge2e": ("encoder", "core.inference.encoder", "GE2EEncoder"),
    "vocos": ("vocoder", "core.inference.vocoder", "NeuralVocoder"),
    "griffin_lim": ("vocoder", "core.inference.griffin_lim", "GriffinLim"),
}


@dataclass(frozen=True)
class Card:
    """What a model says of itself.

    name: the file's stem. config: sizes of the network. space: the embedding space an encoder makes, or a synthesizer
    reads. mel_format: None for an encoder. symbols: name of the alphabet a synthesizer reads. metrics: measured
    numbers. extra: whatever else the architecture needs (normalisation constants, ...).
    """

    role: str
    architecture: str
    name: str
    config: dict = field(default_factory=dict)
    mel_format: MelFormat | None = None
    space: str = ""
    symbols: str = ""
    languages: tuple[str, ...] = ()
    trained_on: str = ""
    steps: int = 0
    metrics: dict = field(default_factory=dict)
    licence: str = ""
    extra: dict = field(default_factory=dict)
    path: Path | None = None

    @property
    def usual_similarities(self) -> tuple[float, float] | None:
        """Of an encoder: the mean cosine of two people's utterances, and of one person's, as measured; else None."""
        both = self.metrics.get("different"), self.metrics.get("same")
        return both if None not in both else None

    def to_json(self) -> str:
        values = {k: v for k, v in self.__dict__.items() if k not in ("path", "name")}
        values["mel_format"] = self.mel_format.to_dict() if self.mel_format else None
        return json.dumps({"schema": SCHEMA, **values})

    @classmethod
    def from_json(cls, text: str, path: Path) -> "Card":
        """Raises ValueError, KeyError or TypeError for a card this program cannot understand."""
        values = json.loads(text)
        if values.pop("schema") > SCHEMA:
            raise ValueError("made by a newer version of this program")
        if values.get("mel_format") is not None:
            values["mel_format"] = MelFormat.from_dict(values["mel_format"])
        values["languages"] = tuple(values.get("languages", ()))
        return cls(name=path.stem, path=path, **values)


GRIFFIN_LIM = Card("vocoder", "griffin_lim", "griffin-lim", config={"n_iter": 60}, mel_format=PROJECT_MEL)


def read_card(path: Path) -> Card:
    """The card of a published model, read from the file's header alone. Raises ModelError."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > 10_000_000:
                raise ValueError("header too large")
            header = json.loads(file.read(size))
        card = Card.from_json(header["__metadata__"]["card"], path)
        end = max((t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"), default=0)
        if path.stat().st_size < 8 + size + end:
            raise ValueError("the file is cut short")
        if ARCHITECTURES.get(card.architecture, ("",))[0] != card.role:
            raise ValueError(f"unknown architecture {card.architecture!r}")
    except OSError as error:
        raise ModelError(
            f"The model {path.name} cannot be read: {error.strerror}.", "Check that the file exists."
        ) from error
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise ModelError(
            f"{path.name} is not a model this program can use ({error}).", "Restore it, or remove it from pretrained/."
        ) from error
    return card


def available(folder: Path = PRETRAINED) -> tuple[dict[str, list[Card]], list[ModelError]]:
    """Role -> cards found, best first (card.extra["rank"], higher first, then name), Griffin-Lim as the last vocoder;
    and one error for each file that is no usable model. Reads headers only."""
    cards: dict[str, list[Card]] = {role: [] for role in ROLES}
    problems = []
    for role in ROLES:
        for path in sorted((Path(folder) / role).glob("*.safetensors")):
            try:
                card = read_card(path)
                if card.role != role:
                    raise ModelError(
                        f"{path.name} plays the {card.role}, but lies among the {role}s.",
                        f"Move it to pretrained/{card.role}/.",
                    )
                cards[role].append(card)
            except ModelError as error:
                problems.append(error)
        cards[role].sort(key=lambda card: (-card.extra.get("rank", 0), card.name))
    cards["vocoder"].append(GRIFFIN_LIM)
    return cards, problems


def fits(first: Card, second: Card) -> bool:
    """Whether two models of different roles can work together."""
    by_role = {first.role: first, second.role: second}
    encoder, synthesizer, vocoder = (by_role.get(role) for role in ROLES)
    if encoder and synthesizer:
        return encoder.space == synthesizer.space
    if synthesizer and vocoder:
        return vocoder.architecture == "griffin_lim" or vocoder.mel_format == synthesizer.mel_format
    return True


def find(role: str, name: str | None = None, folder: Path = PRETRAINED) -> Card:
    """The card of a model by name, or the best of its role. Raises ModelError naming what is there."""
    cards, problems = available(folder)
    for card in cards[role]:
        if name is None or card.name == name:
            return card
    names = ", ".join(card.name for card in cards[role]) or "none"
    detail = " ".join(str(problem) for problem in problems)
    wanted = f"There is no {role} named {name!r}" if name else f"There is no {role}"
    raise ModelError(
        f"{wanted} in {folder} (found: {names}). {detail}".strip(), "Restore pretrained/ from the repository."
    )


def read_tensors(card: Card) -> dict[str, Any]:
    """The weights of a published model by name, as stored; none for one without a file. Raises ModelError."""
    if card.path is None:
        return {}
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(card.path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"The model {card.path.name} is damaged: {error}.", "Restore it from the repository."
        ) from error


def load(card: Card) -> Any:
    """The model at work: an object with the card's role (`core.roles`). Slow: for a worker. Raises ModelError."""
    _, module, name = ARCHITECTURES[card.architecture]
    tensors = read_tensors(card)
    try:
        return getattr(importlib.import_module(module), name)(card, tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"The weights of {card.name} do not fit its card: {error}", "Restore it from the repository."
        ) from error
