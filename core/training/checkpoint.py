"""What training leaves behind: a resume file of plain values, and published weights with their card."""

import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from core.inference.registry import PRETRAINED, Card, read_tensors


def save_resume(path: Path, state: dict) -> None:
    """Writes tensors and plain values beside, then replaces: a crash leaves the last good file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    os.replace(beside, path)


def load_resume(path: Path) -> dict | None:
    """The last saved state, tensors on the CPU, or None if there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if Path(path).exists() else None


def shapes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    """Of tensors by name: what must be the same for one model to take up another's."""
    return {name: tensor.shape for name, tensor in tensors.items()}


def publish(card: Card, state: dict[str, torch.Tensor], folder: Path = PRETRAINED, half: bool = True) -> Path:
    """Writes pretrained/<role>/<name>.safetensors, floats as float16 when `half`. Returns its path."""
    path = Path(folder) / card.role / f"{card.name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach()
        .cpu()
        .to(torch.float16 if half and tensor.is_floating_point() else tensor.dtype)
        .contiguous()
        for name, tensor in state.items()
    }
    beside = path.with_suffix(".part")
    save_file(tensors, beside, metadata={"card": card.to_json()})
    beside.chmod(0o644)
    os.replace(beside, path)
    return path


def rewrite_card(card: Card) -> Path:
    """Writes the changed card of a published model over its file, the weights untouched. Returns its path."""
    return publish(card, read_tensors(card), card.path.parents[1])
