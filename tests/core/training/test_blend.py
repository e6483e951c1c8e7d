import pytest
import torch
from safetensors.torch import load_file

from core.errors import ModelError
from core.inference.registry import Card, read_card
from core.training.blend import blend
from core.training.checkpoint import publish


def published(folder, recipe, **tensors):
    return publish(Card("synthesizer", "tempo", "tempo", extra={"recipe": recipe}), tensors, folder)


def test_a_blend_lies_between_and_keeps_what_it_is_told_to(tmp_path):
    old = published(tmp_path / "old", "a", body=torch.zeros(4), pause=torch.zeros(2))
    new = published(tmp_path / "new", "a; then b", body=torch.ones(4), pause=torch.ones(2))
    path = blend(old, new, 0.25, ("pause",), tmp_path / "out")
    tensors = load_file(path)
    assert tensors["body"].tolist() == [0.25] * 4 and tensors["pause"].tolist() == [0] * 2
    recipe = read_card(path).extra["recipe"]
    assert recipe == "a; then b; of this 0.25, of what it began with or of a sister 0.75, pause as they were"


def test_strangers_are_not_blended(tmp_path):
    old = published(tmp_path / "old", "", body=torch.zeros(4))
    new = published(tmp_path / "new", "", body=torch.zeros(5))
    with pytest.raises(ModelError, match="other weights"):
        blend(old, new, 0.5, (), tmp_path / "out")
    assert not (tmp_path / "out").exists()
