"""Cards and safe loading: what lies in pretrained/ is read by its header, and nothing bad in it stops the rest."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import ModelError
from core.inference import registry
from core.inference.registry import GRIFFIN_LIM, Card, available, find, fits, read_card
from core.types import PROJECT_MEL, MelFormat


def put(folder, card, tensors=None):
    path = folder / card.role / f"{card.name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors or {"w": np.zeros(1000, np.float32)}, path, metadata={"card": card.to_json()})
    return path


def encoder_card(name="voices", **changes):
    return Card("encoder", "ge2e", name, space="ge2e-256", languages=("en",), **changes)


def test_a_card_comes_back_as_it_was(tmp_path):
    card = encoder_card(config={"size": 3}, steps=7, metrics={"eer": 0.5}, extra={"mean": 1.5})
    read = read_card(put(tmp_path, card))
    for field in ("role", "architecture", "name", "config", "space", "languages", "steps", "metrics", "extra"):
        assert getattr(read, field) == getattr(card, field)


def test_an_empty_folder_still_has_griffin_lim(tmp_path):
    cards, problems = available(tmp_path)
    assert cards == {"encoder": [], "synthesizer": [], "vocoder": [GRIFFIN_LIM]} and not problems
    with pytest.raises(ModelError, match="no encoder"):
        find("encoder", folder=tmp_path)


def test_best_rank_first_and_found_by_name(tmp_path):
    put(tmp_path, encoder_card("a"))
    put(tmp_path, encoder_card("b", extra={"rank": 2}))
    assert [c.name for c in available(tmp_path)[0]["encoder"]] == ["b", "a"]
    assert find("encoder", "a", tmp_path).name == "a"
    with pytest.raises(ModelError, match="found: b, a"):
        find("encoder", "c", tmp_path)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def _no_header(path):
    path.write_bytes(b"hello")


def _huge_header(path):
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


def _rewrite(path, change):
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    card = json.loads(header["__metadata__"]["card"])
    change(card)
    header["__metadata__"]["card"] = json.dumps(card)
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + raw[8 + size :])


def _newer(path):
    _rewrite(path, lambda card: card.update(schema=99))


def _foreign_code(path):
    _rewrite(path, lambda card: card.update(architecture="os.system"))


@pytest.mark.parametrize("spoil", [_truncate, _no_header, _huge_header, _newer, _foreign_code])
def test_a_bad_file_is_named_and_the_rest_still_offered(tmp_path, spoil):
    put(tmp_path, encoder_card("good"))
    spoil(put(tmp_path, encoder_card("bad")))
    cards, problems = available(tmp_path)
    assert [c.name for c in cards["encoder"]] == ["good"]
    (problem,) = problems
    assert "bad.safetensors" in problem.message and problem.hint


def test_a_model_in_the_wrong_folder_is_refused(tmp_path):
    path = put(tmp_path, encoder_card())
    (tmp_path / "vocoder").mkdir()
    path.rename(tmp_path / "vocoder" / path.name)
    _, (problem,) = available(tmp_path)
    assert "plays the encoder" in problem.message


def test_weights_that_do_not_fit_their_card(tmp_path, monkeypatch):
    class Strict:
        def __init__(self, card, tensors):
            tensors["missing"]

    monkeypatch.setattr("core.inference.registry.importlib.import_module", lambda name: type("M", (), {"Any": Strict}))
    monkeypatch.setitem(registry.ARCHITECTURES, "ge2e", ("encoder", "x", "Any"))
    card = read_card(put(tmp_path, encoder_card()))
    with pytest.raises(ModelError, match="do not fit"):
        registry.load(card)


def test_what_fits_together():
    encoder, other = encoder_card(), Card("encoder", "ge2e", "other", space="other-512")
    synthesizer = Card("synthesizer", "x", "s", space="ge2e-256", mel_format=PROJECT_MEL)
    vocoder = Card("vocoder", "x", "v", mel_format=PROJECT_MEL)
    coarse = Card("vocoder", "x", "v", mel_format=MelFormat(hop_length=256))
    assert fits(encoder, synthesizer) and fits(synthesizer, encoder) and not fits(other, synthesizer)
    assert fits(synthesizer, vocoder) and not fits(coarse, synthesizer)
    assert fits(GRIFFIN_LIM, synthesizer) and fits(encoder, vocoder)
