from dataclasses import asdict, replace

import numpy as np
import pytest

from core.errors import ModelError, VoiceError
from core.inference.registry import Card, available, load, read_tensors
from core.types import Waveform

torch = pytest.importorskip("torch")

from core.audio.partials import band_centres, power_mel  # noqa: E402
from core.inference.encoder import VoiceprintEncoder  # noqa: E402
from core.models.ge2e import GE2E, GE2EConfig  # noqa: E402
from core.models.voiceprint import Voiceprint, VoiceprintConfig, levelled  # noqa: E402
from core.training.augment import Augment, played, played_length  # noqa: E402
from core.training.encoder import main, smoke_windows  # noqa: E402
from core.training.judging import judge  # noqa: E402
from core.training.speaker_losses import GE2ELoss  # noqa: E402
from core.training.student import LOUDER, Settings, Trainer  # noqa: E402
from core.training.teacher import embed_windows  # noqa: E402
from core.training.windows import WINDOW, SpeakerBatches, own_windows, utterance_means  # noqa: E402

TINY = VoiceprintConfig(hidden_size=16, n_layers=2)


def test_smoke_training_publishes_a_model_that_embeds(tmp_path, capsys):
    assert main(["--smoke", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "pretrained")]) == 0
    assert "judged" in capsys.readouterr().out
    assert (tmp_path / "runs" / "voiceprint-map.png").read_bytes()[:4] == b"\x89PNG"
    (card,) = available(tmp_path / "pretrained")[0]["encoder"]
    assert (card.name, card.space, card.steps) == ("voiceprint", "ge2e-256", 4)
    t = np.arange(32000) / 16000
    buzz = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 15)) * np.sin(2 * np.pi * t) ** 2
    embedding, _ = load(card).embed(Waveform(0.1 * buzz, 16000))
    assert embedding.vector.shape == (256,)


def test_training_goes_on_where_it_stopped(tmp_path, capsys):
    arguments = ["--smoke", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "pretrained")]
    main(arguments)
    main([*arguments, "--resume"])
    (card,) = available(tmp_path / "pretrained")[0]["encoder"]
    assert card.steps == 8


def test_without_a_teacher_the_space_is_its_own(tmp_path):
    main(["--smoke", "--from-scratch", "--runs", str(tmp_path), "--output", str(tmp_path)])
    (card,) = available(tmp_path)[0]["encoder"]
    assert card.name == card.space == "my-encoder"


def test_a_batch_repeated_is_learnt():
    windows = smoke_windows()
    torch.manual_seed(0)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    trainer = Trainer(windows, Settings(speakers=8, per_speaker=2, minutes=100), Voiceprint(TINY), teacher)
    first = [trainer.step()["window"] for _ in range(3)]
    for _ in range(100):
        last = trainer.step()["window"]
    assert last < 0.45 * np.mean(first)


def test_ge2e_prefers_speakers_apart():
    torch.manual_seed(0)
    loss = GE2ELoss()
    apart = torch.eye(4).repeat_interleave(3, 0).view(4, 3, 4)
    assert loss(apart) < 0.01
    together = torch.nn.functional.normalize(torch.rand(4, 3, 4), dim=2)
    assert loss(together) > 10 * loss(apart)
    assert loss.weight.grad is None
    loss(together).backward()
    assert torch.isfinite(loss.weight.grad)


def test_the_teacher_answers_on_any_processor():
    """Half as precise where that is quicker; some processors have no such arithmetic for it at all."""
    teacher = GE2E(GE2EConfig(hidden_size=64, n_layers=2)).eval()
    mels = [windows.mel(w)[None] for windows in [smoke_windows()] for w in range(4)]
    quick, exact = (embed_windows(teacher, mels, half) for half in (True, False))
    assert (quick * exact).sum(axis=1).min() > 0.999


def test_augmented_mels_are_whole_and_repeatable():
    windows = smoke_windows()
    mels = torch.from_numpy(np.stack([windows.mel(w) for w in range(16)]))
    once, again = (Augment(seed=5)(mels) for _ in range(2))
    assert once.shape == mels.shape and torch.isfinite(once).all() and (once > 0).all()
    assert torch.equal(once, again)
    changed = (torch.log(once) - torch.log(mels)).abs().mean(dim=(1, 2)) > 0.1
    assert 4 < changed.sum() < 16  # most, not all
    assert torch.equal(Augment(seed=5, strength=0.0)(mels), mels)


def test_training_may_begin_with_published_weights(tmp_path):
    arguments = ["--smoke", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path)]
    main(arguments)
    (card,) = available(tmp_path)[0]["encoder"]
    trainer = Trainer(smoke_windows(), Settings(), Voiceprint(TINY))
    trainer.begin_with(card, read_tensors(card))
    for name, tensor in read_tensors(card).items():
        torch.testing.assert_close(trainer.average.state_dict()[name], tensor.float())
    main([*arguments, "--from-published"])
    (card,) = available(tmp_path)[0]["encoder"]
    assert card.steps == 8


def test_a_wider_network_begins_by_answering_as_the_published_one(tmp_path):
    arguments = ["--smoke", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path)]
    main(arguments)
    (card,) = available(tmp_path)[0]["encoder"]
    published = Voiceprint(TINY)
    published.load_state_dict({name: tensor.float() for name, tensor in read_tensors(card).items()})
    trainer = Trainer(smoke_windows(), Settings(), Voiceprint(replace(TINY, hidden_size=24)))
    trainer.begin_with(card, read_tensors(card))
    mels = torch.rand(3, 40, 40)
    torch.testing.assert_close(trainer.network(mels), published(mels))
    trainer.network(mels).sum().backward()
    assert trainer.network.linear.weight.grad[:, 16:].abs().max() > 0  # the new units can be listened to
    main([*arguments, "--from-published", "--hidden-size", "24"])
    (card,) = available(tmp_path)[0]["encoder"]
    assert card.config["hidden_size"] == 24 and card.steps == 8
    with pytest.raises(ModelError, match="does not fit"):
        trainer = Trainer(smoke_windows(), Settings(), Voiceprint(TINY))
        trainer.begin_with(card, read_tensors(card))


def test_a_resume_file_of_another_size_is_refused(tmp_path):
    arguments = ["--smoke", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path)]
    main(arguments)
    with pytest.raises(ModelError, match="16 units") as caught:
        main([*arguments, "--resume", "--hidden-size", "24"])
    assert "--hidden-size" in caught.value.hint


def test_who_goes_on_from_published_weights_and_learns_nothing_publishes_them_again():
    torch.manual_seed(0)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    published = Trainer(smoke_windows(), Settings(), Voiceprint(TINY), teacher).published()
    trainer = Trainer(smoke_windows(), Settings(), Voiceprint(TINY), teacher)
    trainer.begin_with(Card("encoder", "voiceprint", "x", steps=1, extra={"minutes": 0.0}), published.state_dict())
    for name, tensor in trainer.published().state_dict().items():
        torch.testing.assert_close(tensor, published.state_dict()[name])


def test_noise_of_a_level_has_that_level():
    augment = Augment()
    mels = torch.rand(4, 100, 40)
    torch.testing.assert_close(augment.level(augment.noises(mels)), torch.ones(4, 1, 1))


def test_batches_hold_several_windows_of_several_speakers():
    windows = smoke_windows()
    batch = SpeakerBatches(windows, speakers=4, per_speaker=2).draw()
    speakers = windows.speaker[batch].reshape(4, 2)
    assert (speakers[:, 0] == speakers[:, 1]).all() and len(set(speakers[:, 0])) == 4
    assert len(set(batch)) == 8


def test_after_a_short_window_comes_silence():
    windows = smoke_windows()
    windows.length[0] = 9000
    wave = windows.wave(0)
    assert wave.shape == (WINDOW,) and wave.dtype == np.float32
    assert wave[:9000].std() > 0.1 and not wave[9000:].any()


def test_the_speech_of_an_utterance_reaches_from_its_first_window_to_the_end_of_its_last():
    windows = smoke_windows()
    windows.length[1] = 20000
    np.testing.assert_allclose(windows.speech(np.array([0, 1])), windows.sounds[0][: 6400 + 20000] / 32767, atol=1e-6)


def test_a_network_is_judged_as_it_is_used():
    torch.manual_seed(0)
    windows = smoke_windows()
    trainer = Trainer(windows, Settings(speakers=4), Voiceprint(TINY), GE2E(GE2EConfig(hidden_size=16, n_layers=2)))
    _, vectors, speakers = judge(trainer.network, windows)
    card = Card("encoder", "voiceprint", "tiny", config=asdict(TINY))
    used = VoiceprintEncoder(card, trainer.network.state_dict()).embed_speech(windows.wave(2))[0]
    np.testing.assert_allclose(vectors[speakers == 1][0], used.vector, atol=1e-5)


def test_sound_played_faster_is_heard_higher():
    t = np.arange(played_length(100, 160)) / 16000
    tone = torch.from_numpy(np.sin(2 * np.pi * 1000 * t).astype(np.float32))[None]
    as_it_is = played(tone[:, : played_length(80, 160)], 80)
    assert as_it_is.shape == (1, 160, 40)
    np.testing.assert_allclose(as_it_is[0], power_mel(tone[0, :25600].numpy())[:160], atol=1e-2, rtol=1e-3)
    for parts in (64, 80, 100):
        loudest = int(played(tone[:, : played_length(parts, 160)], parts)[0, 80].argmax())
        assert abs(band_centres()[loudest] / 1000 - parts / 80) < 0.06
    faster = played(tone, 100)
    torch.testing.assert_close(faster[0, 80].max(), as_it_is[0, 80].max(), rtol=0.3, atol=0)  # as loud as before


def test_an_excerpt_stays_in_its_utterance():
    windows = smoke_windows()
    windows.utterance = windows.sound  # two windows of two seconds, from 0 and from 6400
    sound = windows.sounds[0] / 32767
    np.testing.assert_allclose(windows.excerpt(0, 100, later=50), sound[50:150], atol=1e-6)
    np.testing.assert_allclose(windows.excerpt(0, 100, later=-50), sound[:100], atol=1e-6)
    np.testing.assert_allclose(windows.excerpt(1, 30000, later=900), sound[2000:], atol=1e-6)
    again = windows.excerpt(1, 40000)
    np.testing.assert_allclose(again, np.concatenate([sound, sound[:8000]]), atol=1e-6)


def test_after_an_utterance_shorter_than_a_window_comes_silence():
    windows = smoke_windows()
    windows.length[0] = WINDOW - 1
    cut = windows.excerpt(0, 40000)
    np.testing.assert_allclose(cut[: WINDOW - 1], windows.sounds[0][: WINDOW - 1] / 32767, atol=1e-6)
    assert not cut[WINDOW - 1 :].any()


def test_what_is_recorded_elsewhere_is_changed_a_little_and_as_loud():
    windows = smoke_windows()
    mels = torch.from_numpy(np.stack([windows.mel(w) for w in range(16)]))
    augment = Augment(seed=5)
    elsewhere = augment.recorded(mels)
    torch.testing.assert_close(elsewhere, Augment(seed=5).recorded(mels))
    torch.testing.assert_close(augment.level(elsewhere), augment.level(mels))
    changed = (torch.log(elsewhere) - torch.log(mels)).abs().mean(dim=(1, 2)) > 0.1
    assert 4 < changed.sum() < 16


def test_the_teacher_hears_the_recording_and_not_what_spoils_it(monkeypatch):
    teacher, heard = GE2E(GE2EConfig(hidden_size=16, n_layers=2)), {}
    trainer = Trainer(smoke_windows(), Settings(speakers=4, per_speaker=2), Voiceprint(TINY), teacher)
    elsewhere, hear, features = trainer.augment.recorded, trainer.teacher.hear, trainer.network.features
    monkeypatch.setattr(trainer.augment, "recorded", lambda mels: heard.setdefault("recorded", elsewhere(mels)))
    monkeypatch.setattr(trainer.teacher, "hear", lambda mels: hear(heard.setdefault("teacher", mels)))
    monkeypatch.setattr(trainer.network, "features", lambda mels: features(heard.setdefault("student", mels)))
    trainer.step()
    torch.testing.assert_close(heard["teacher"], LOUDER * levelled(heard["recorded"]))
    spoilt = ((heard["student"] - heard["teacher"]).abs() > 1e-6).flatten(1).any(dim=1)
    assert 0 < spoilt.sum() < 8


def test_who_has_a_teacher_listens_for_twice_a_window():
    settings = Settings(speakers=4, per_speaker=2)
    taught = Trainer(smoke_windows(), settings, Voiceprint(TINY), GE2E(GE2EConfig(hidden_size=16, n_layers=2)))
    alone = Trainer(smoke_windows(), settings, Voiceprint(TINY))
    assert max(taught._draw().shape[1] for _ in range(20)) > 300
    assert max(alone._draw().shape[1] for _ in range(20)) <= 160


def test_utterance_means_are_unit_vectors_of_their_own_windows():
    vectors = np.array([[1, 0], [0, 1], [0, 3]], np.float32)
    means = utterance_means(vectors, np.array([7, 7, 2]))
    np.testing.assert_allclose(means, [[0.5**0.5] * 2, [0.5**0.5] * 2, [0, 1]], atol=1e-6)


def test_ones_own_speakers_are_read_from_folders(tmp_path):
    from core.audio.io import write_audio

    rng = np.random.default_rng(0)
    for speaker in range(5):
        folder = tmp_path / f"speaker {speaker}"
        folder.mkdir()
        write_audio(folder / "one.wav", Waveform(0.1 * rng.standard_normal(44100 * 2), 44100))
    (tmp_path / "speaker 0" / "notes.txt").write_text("not a sound")
    training, judged = own_windows(tmp_path)
    assert len(set(training.speaker)) == 4 and set(judged.speaker) == {4}
    assert training.targets is None
    with pytest.raises(VoiceError, match="holds 0 folders"):
        own_windows(tmp_path / "speaker 1")


def test_a_missing_teacher_is_named(tmp_path):
    from core.training.teacher import published_weights
    from core.training.windows import distillation_windows

    with pytest.raises(ModelError, match=r"missing\.pt"):
        published_weights(tmp_path / "missing.pt")
    with pytest.raises(VoiceError, match="teacher"):
        distillation_windows(tmp_path)


def test_spread_voices_are_further_apart_around_the_same_mean():
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    trainer = Trainer(smoke_windows(), Settings(speakers=4, per_speaker=2), Voiceprint(TINY), teacher)
    mels = torch.from_numpy(np.stack([trainer.windows.mel(w) for w in range(16)]))
    with torch.no_grad():
        before, after = trainer.average.raw(mels), trainer.published().raw(mels)
    torch.testing.assert_close(after.mean(dim=0), before.mean(dim=0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.std(dim=0), trainer.settings.spread * before.std(dim=0), atol=1e-4, rtol=1e-3)


def test_speakers_to_judge_by_are_neither_learnt_from_nor_unseen(tmp_path, monkeypatch):
    from core.training import windows as module
    from core.training.data import Row

    speakers = [("LS121", "train"), ("LS61", "val_unseen"), ("other", "train")]
    rows = [Row(f"u{i}", "s", "", name, "", "en", split, 2.0, "") for i, (name, split) in enumerate(speakers)]
    monkeypatch.setattr(module, "SpeechCache", lambda: type("Cache", (), {"rows": rows}))
    for part, guise in ((0, 0), (1, 1)):
        np.zeros(30000 * 3, np.int16).tofile(tmp_path / f"speech-{part}.int16")
        np.savez(
            tmp_path / f"windows-{part}.npz",
            starts=np.arange(3) * 30000,
            lengths=np.full(3, 25600),
            owners=np.arange(3),
            guises=np.full(3, guise),
            vectors=np.ones((3, 4), np.float16),
        )
    training, judged = module.distillation_windows(tmp_path)
    assert len(training) == 2 and len(set(training.speaker)) == 2  # "other" and "other" in a guise
    assert len(judged) == 1 and judged.utterance[0] // 2 == 0  # LS121 as he is
