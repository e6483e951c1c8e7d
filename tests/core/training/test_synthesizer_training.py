import itertools
import random
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.inference import registry
from core.inference.ear import Ear
from core.text.phonemes import phonemize
from core.text.symbols import Phone
from core.training import synthesizer as training
from core.training.alignment import Aligned, cmu, load_alignments, pronunciation, save_alignments
from core.training.features import PIECE, Token, cut, frames_of, tokens_of
from core.training.mel_critic import MelCritic, judge
from core.training.people import People, readers_apart
from core.training.picture import mel_picture, write_png
from core.training.pieces import Constants
from core.training.transcribe import sure_phrases
from core.types import Embedding

Row = namedtuple("Row", "set seconds")


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors are faster on one thread, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_two_steps_publish_a_model_that_speaks_and_resumes(tmp_path, capsys):
    arguments = ["--smoke", "--device", "cpu", "--output", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    assert training.main(arguments) == 0
    card = registry.find("synthesizer", "tempo", tmp_path / "out")
    assert card.steps == 2 and card.space == "ge2e-256"
    model = registry.load(card)
    voice = np.ones(256, np.float32) / 16
    assert model.synthesize("Hello.", Embedding(voice, "ge2e-256"))[0].n_frames > 4
    assert list((tmp_path / "runs").glob("*.png"))
    state = torch.load(tmp_path / "runs" / "tempo.pt", weights_only=True)
    assert state["steps"] == 2 and state["critic_steps"] >= 1
    assert training.main([*arguments, "--resume"]) == 0  # all its time is spent: nothing more to do
    assert registry.find("synthesizer", "tempo", tmp_path / "out").steps == 2
    capsys.readouterr()
    assert training.main([*arguments, "--from-published", "--runs", str(tmp_path / "other")]) == 0
    assert "begins with tempo" in capsys.readouterr().out
    card = registry.find("synthesizer", "tempo", tmp_path / "out")
    assert card.steps == 4 and "; then " in card.extra["recipe"]


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    pieces = training.synthetic_pieces()
    config = training.TempoConfig(
        training.ALPHABET.size,
        d_text=16,
        d_prosody=16,
        d_pause=16,
        d_frame=32,
        d_condition=8,
        text_blocks=1,
        frame_blocks=1,
    )
    training_rate = 2e-2
    trainer = training.Trainer(config, pieces.constants, torch.device("cpu"), 1e9, rate=training_rate)
    batch = pieces.batch([0, 1], random.Random(0))
    losses = [trainer.step(batch)["mel"] for _ in range(25)]
    assert losses[-1] < 0.97 * losses[0]


def test_training_that_begins_with_published_weights_leaves_the_pauses_alone(tmp_path):
    arguments = ["--smoke", "--device", "cpu", "--output", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    training.main(arguments)
    card = registry.find("synthesizer", "tempo", tmp_path / "out")
    pieces = training.synthetic_pieces()
    trainer = training.Trainer(training.TempoConfig(**card.config), pieces.constants, torch.device("cpu"), 1e9)
    trainer.begin_with(card, registry.read_tensors(card))
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.step(pieces.batch([0, 1], random.Random(0)))
    changed = {name for name, tensor in trainer.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and not any(name.startswith("pause") for name in changed)


def test_a_broken_piece_leaves_the_weights_as_they_were():
    pieces = training.synthetic_pieces()
    config = training.TempoConfig(training.ALPHABET.size, d_text=16, d_prosody=16, d_pause=16, d_frame=16)
    trainer = training.Trainer(config, pieces.constants, torch.device("cpu"), 1e9)
    batch = pieces.batch([0, 1], random.Random(0))
    batch.prosody[0, 0, 4] = float("nan")
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.step(batch)
    for name, tensor in trainer.model.state_dict().items():
        torch.testing.assert_close(tensor, before[name])
    assert all(np.isfinite(value) for value in trainer.statistics.values())


def test_a_resumed_trainer_continues_where_it_stopped():
    pieces = training.synthetic_pieces()
    config = training.TempoConfig(
        training.ALPHABET.size,
        d_text=16,
        d_prosody=16,
        d_pause=16,
        d_frame=16,
        d_condition=8,
        text_blocks=1,
        frame_blocks=1,
    )
    first = training.Trainer(config, pieces.constants, torch.device("cpu"), 60)
    first.step(pieces.batch([0, 1, 2], random.Random(0)))
    first.seconds = 12
    second = training.Trainer(config, pieces.constants, torch.device("cpu"), 60)
    second.restore(first.state())
    assert second.steps == 1 and second.share == pytest.approx(0.2)
    for a, b in zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_critics_push_is_bounded_whatever_its_losses():
    torch.manual_seed(0)
    critic = MelCritic()
    real, made = torch.randn(2, 96, 80), torch.randn(3, 96, 80) * 1000  # one of a stranger, without its real twin
    voices = torch.nn.functional.normalize(torch.rand(3, 256), dim=1)
    verdict = judge(critic, real, made, voices, 1.0)
    l1_norm = made.numel() ** -0.5
    assert 0.5 * l1_norm <= verdict.gradient.norm() <= 2.1 * l1_norm
    verdict.critic_loss.backward()
    assert all(p.grad is not None for p in critic.parameters())


def test_the_ear_hears_in_a_mel_whom_the_encoder_hears_in_its_sound():
    synthesizer, vocoder, encoder = (
        registry.load(registry.find(role)) for role in ("synthesizer", "vocoder", "encoder")
    )
    constants = Constants(**synthesizer.card.extra["constants"])
    ear = Ear(registry.find("encoder"), constants.mel_mean, constants.mel_std)
    rng = np.random.default_rng(0)
    voices = [np.maximum(rng.normal(0, 1, 256), 0).astype(np.float32) for _ in range(2)]
    heard, embedded = [], []
    for voice in voices:
        asked = Embedding(voice / np.linalg.norm(voice), synthesizer.space)
        mel, _ = synthesizer.synthesize("She had your dark suit in greasy wash water all year.", asked)
        normalised = (mel.frames.T - np.array(constants.mel_mean)) / np.array(constants.mel_std)
        with torch.inference_mode():
            heard.append(ear(torch.from_numpy(normalised.astype(np.float32))[None, 20:148])[0].numpy())
        embedded.append(encoder.embed(vocoder.vocode(mel))[0].vector)
    own = min(heard[0] @ embedded[0], heard[1] @ embedded[1])
    assert own > 0.8 and own > max(heard[0] @ embedded[1], heard[1] @ embedded[0]) + 0.05


def test_the_ear_pushes_a_voice_towards_the_one_asked_for():
    torch.manual_seed(0)
    pieces = training.synthetic_pieces()
    small = {"d_text": 16, "d_prosody": 16, "d_pause": 16, "d_frame": 32, "text_blocks": 1, "frame_blocks": 1}
    voices = torch.nn.functional.normalize(torch.rand(5, 256) ** 4, dim=1)
    people = People(voices, torch.full((5,), 5.6))
    ear = Ear(registry.find("encoder"), pieces.constants.mel_mean, pieces.constants.mel_std)
    trainer = training.Trainer(
        training.TempoConfig(training.ALPHABET.size, **small),
        pieces.constants,
        torch.device("cpu"),
        1e9,
        1e-2,
        ear,
        people,
    )
    batch = pieces.batch([0, 1, 2, 3], random.Random(0))
    trainer.steps = 150  # past the slow start
    losses = [trainer.step(batch) for _ in range(40)]
    for name in ("stranger", "level_f0"):
        before, after = (np.mean([found[name] for found in part]) for part in (losses[:5], losses[-5:]))
        assert after < 0.97 * before, name
    trainer.critic_from = 0.0
    assert "critic" in trainer.step(batch)


def test_only_phrases_that_the_recogniser_is_sure_of_are_kept():
    segs = [
        ("<s>", 0, 20, 1.0), ("one", 21, 40, 0.9), ("two(2)", 41, 60, 0.8), ("three", 61, 80, 0.9),
        ("<sil>", 81, 120, 0.9),
        ("four", 121, 140, 0.9), ("five", 141, 150, 0.9), ("six", 151, 160, 0.7), ("[NOISE]", 161, 170, 0.4),
        ("mumbled", 171, 200, 0.02), ("as", 201, 210, 0.9), ("ever", 211, 230, 0.9), ("<sil>", 231, 240, 1.0),
        ("too", 241, 260, 0.9), ("short", 261, 270, 0.9), ("</s>", 271, 280, 1.0),
    ]  # fmt: skip
    ((words, first, last),) = sure_phrases(segs)
    assert words == ["one", "two", "three", "four", "five", "six"]
    assert (first, last) == (12, 169)
    assert sure_phrases([]) == []


def test_the_readers_to_choose_by_are_always_the_same_and_long_enough():
    rows = [Row("librispeech_tc100_one_utt" if k % 2 else "other", float(k)) for k in range(200)]
    chosen = readers_apart(SimpleNamespace(rows=rows), 10)
    assert chosen == readers_apart(SimpleNamespace(rows=rows), 10) and len(set(chosen)) == 10
    assert all(rows[i].set == "librispeech_tc100_one_utt" and rows[i].seconds > 8 for i in chosen)


def aligned(*entries) -> Aligned:
    letters, words, starts, ends = zip(*entries, strict=True)
    return Aligned(
        np.array(letters),
        np.zeros(len(letters), np.int8),
        np.array(words),
        np.array(starts, np.float32),
        np.array(ends, np.float32),
    )


def sound(seconds: float, *silences: tuple[float, float]) -> np.ndarray:
    samples = np.random.default_rng(0).normal(0, 0.1, int(seconds * 16000)).astype(np.float32)
    for start, end in silences:
        samples[int(start * 16000) : int(end * 16000)] *= 1e-4
    return samples


def test_silences_become_pauses_and_boundaries_take_no_time():
    entries = [
        ("", -1, 0.0, 0.3),
        ("h", 0, 0.3, 0.4),
        ("i", 0, 0.4, 0.6),
        ("m", 1, 0.6, 0.8),
        ("", -1, 0.8, 1.3),
        ("n", 2, 1.3, 1.6),
        ("", -1, 1.6, 2.0),
    ]
    tokens = tokens_of(aligned(*entries), sound(2.0, (0, 0.3), (0.8, 1.3), (1.6, 2.0)))
    assert [t.symbol.letters for t in tokens] == ["^", "h", "i", " ", "m", ".", "n", "$"]
    assert tokens[3].start == tokens[3].end
    assert tokens[5].end - tokens[5].start == pytest.approx(0.5, abs=0.01)
    n = round((tokens[-1].end - tokens[0].start) * 80)
    frames = frames_of(tokens, n)
    assert frames.sum() == n and frames[3] == 0 and (np.delete(frames, 3) >= 1).all()


def test_long_utterances_are_cut_in_pauses_and_no_phone_is_lost():
    tokens, time = [Token(Phone("^"), 0.0, 0.05)], 0.05
    for k in range(200):
        tokens.append(Token(Phone("a"), time, time + 0.1))
        time += 0.1
        if k % 20 == 19 and k < 199:
            tokens.append(Token(Phone("."), time, time + 0.3))
            time += 0.3
    tokens.append(Token(Phone("$"), time, time + 0.05))
    pieces = cut(tokens)
    assert len(pieces) > 1
    assert all(piece[-1].end - piece[0].start <= PIECE + 0.1 for piece in pieces)
    assert sum(t.symbol.letters == "a" for piece in pieces for t in piece) == 200
    assert all(piece[0].symbol.letters in "^." and piece[-1].symbol.letters in "$." for piece in pieces)


def test_every_english_phone_has_a_cmu_pronunciation():
    words = [
        "strength",
        "button",
        "hour",
        "fire",
        "poor",
        "idea",
        "beige",
        "thorough",
        "garage",
        "onion",
        "little",
        "cotton",
        "vision",
        "church",
        "judge",
        "yacht",
    ]
    for phones in phonemize(words):
        for phone in phones:
            assert cmu(phone.letters)
    assert pronunciation(phonemize(["fire"])[0]) == "F AY ER"


def test_alignments_are_kept(tmp_path):
    path = tmp_path / "alignments.npz"
    save_alignments(path, {"a": aligned(("h", 0, 0.0, 0.1), ("", -1, 0.1, 0.2)), "b": aligned(("x", 0, 0.0, 0.3))})
    found = load_alignments(path)
    assert list(found["a"].letters) == ["h", ""] and found["b"].ends[0] == pytest.approx(0.3)
    assert load_alignments(tmp_path / "missing.npz") == {}


def test_phones_are_found_in_real_speech():
    pytest.importorskip("pocketsphinx", reason="pocketsphinx aligns; it is a training requirement")
    from core.training.alignment import Aligner
    from core.training.data import SPEECH, decode, read_manifest, read_shards

    if not (SPEECH / "manifest.tsv").exists():
        pytest.skip(f"needs the recorded speech in {SPEECH}")
    row = next(r for r in read_manifest() if r.set == "ljspeech_part" and r.seconds < 8)
    from core.text.normalise import normalise

    words = phonemize([s for word in normalise(row.text) for s in word.spoken])
    samples = decode(next(read_shards([row]))[1])
    timed = Aligner(words).align(samples, words)
    phones = [t for t in timed if t.word >= 0]
    assert len(phones) == sum(map(len, words))
    assert all(a.end <= b.start + 1e-6 for a, b in itertools.pairwise(timed))
    assert phones[-1].end > 0.75 * row.seconds
    assert np.mean([t.end - t.start for t in phones]) == pytest.approx(0.08, abs=0.03)


def test_pictures_are_valid_png(tmp_path):
    picture = mel_picture([np.random.default_rng(0).normal(size=(50, 80))], [np.array([10, 20])])
    path = tmp_path / "mel.png"
    write_png(path, picture)
    from PIL import Image

    assert Image.open(path).size == (picture.shape[1], picture.shape[0])
