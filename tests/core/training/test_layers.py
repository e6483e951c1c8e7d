import pytest

torch = pytest.importorskip("torch")

from core.inference.registry import Card  # noqa: E402
from core.models.ge2e import GE2E, GE2EConfig  # noqa: E402
from core.models.voiceprint import Voiceprint, VoiceprintConfig  # noqa: E402
from core.training.encoder import new_student, smoke_windows  # noqa: E402
from core.training.layers import FIRST, Hints, layer_states  # noqa: E402
from core.training.student import RATES, Settings, Trainer  # noqa: E402

TINY = VoiceprintConfig(hidden_size=16, n_layers=2)


def network() -> torch.nn.LSTM:
    torch.manual_seed(0)
    return torch.nn.LSTM(6, 8, 3, batch_first=True)


def test_the_last_layer_says_what_the_network_does():
    lstm, x = network(), torch.randn(4, 20, 6)
    states = layer_states(lstm, x)
    assert [state.shape for state in states] == [(4, 20, 8)] * 3
    torch.testing.assert_close(states[-1], lstm(x)[0])


def test_apart_a_layer_teaches_itself_alone():
    lstm, x = network(), torch.randn(4, 20, 6)
    sizes = []
    for passed, reached in ((1.0, {0, 1, 2}), (0.1, {0, 1, 2}), (0.0, {2})):
        lstm.zero_grad()
        layer_states(lstm, x, passed)[2].sum().backward()
        weights = {number: getattr(lstm, f"weight_ih_l{number}").grad for number in range(3)}
        assert {number for number, grad in weights.items() if grad is not None and grad.abs().sum() > 0} == reached
        sizes.append(float(weights[1].abs().sum()) if 1 in reached else 0)
    assert sizes[1] == pytest.approx(0.1 * sizes[0], rel=1e-3)


def test_layers_that_learnt_alone_answer_the_same_once_they_are_put_together():
    lstm, hints, x = network(), Hints(3, 8, 5, 2), torch.randn(4, 20, 6)
    told = [torch.randn(4, 40, 5)] * 3
    alone = None
    for _ in range(3):  # each time one layer more reads what is read off the one below it
        hints.lay_axes(told)
        alone = layer_states(lstm, x, below=hints.below(told))
        told = [read.reshape(4, 40, 5) for read in hints.read(alone)]
    hints.put_together(lstm)
    for together, states in zip(layer_states(lstm, x), alone, strict=True):
        torch.testing.assert_close(together, states)


def test_a_layer_alone_reads_most_of_what_the_teacher_says():
    torch.manual_seed(0)
    hints = Hints(2, 4, 3, 2)
    stacked = torch.randn(50, 20, 4) @ torch.randn(4, 6)
    told = [stacked.reshape(50, 40, 3)] * 2
    hints.lay_axes(told)
    (below,) = hints.below(told)
    assert below.shape == (50, 20, 4)
    torch.testing.assert_close(below @ hints.axes[0].T, stacked, atol=1e-4, rtol=1e-4)


def test_what_can_be_read_off_is_read_without_having_been_learnt():
    torch.manual_seed(0)
    mine = [torch.randn(30, 20, 8) for _ in range(2)]
    told = [
        torch.cat([torch.tanh(layer @ torch.randn(8, 5)), layer[..., :5]], dim=2).reshape(30, 40, 5) for layer in mine
    ]  # two frames a step
    told[1] += torch.randn_like(told[1])
    hints = Hints(2, 8, 5, 2)
    before = [float(loss.detach()) for loss in hints(mine, told)]
    hints.begin(told)
    hints.fit(mine, told)
    after = [float(loss.detach()) for loss in hints(mine, told)]
    assert after[0] < 0.5 * before[0] and after[0] < 0.3 < after[1] < min(0.8, before[1])
    torch.testing.assert_close(
        hints([torch.zeros_like(layer) for layer in mine], told)[0].item(), 1.0, atol=0.1, rtol=0
    )


def test_new_layers_are_read_at_the_mean_with_small_weights():
    torch.manual_seed(0)
    hints, told = Hints(1, 16, 5, 2), [3 + torch.randn(50, 40, 5)]
    hints.begin(told)
    reader = hints.readers[0]
    torch.testing.assert_close(reader.bias.mean().item(), 3.0, atol=0.1, rtol=0)
    assert reader.weight.abs().max() < 0.1
    torch.testing.assert_close(hints.variances[0].item(), 1.0, atol=0.1, rtol=0)


def test_a_unit_is_told_what_the_teachers_says_at_the_end_of_a_step():
    torch.manual_seed(0)
    hints = Hints(1, 8, 5, 2)
    states, told = torch.randn(3, 20, 8), torch.zeros(3, 40, 5)
    told[:, 1::2] = states[..., :5]
    with torch.no_grad():
        hints.readers[0].weight.zero_()
        hints.readers[0].bias.zero_()
    assert hints([states], [told])[0] == 0
    assert hints([states.roll(1, 2)], [told])[0] > 0.5


def test_the_first_steps_are_not_asked_for():
    torch.manual_seed(0)
    hints, mine = Hints(1, 8, 5, 2), [torch.randn(3, 20, 8)]
    told = torch.randn(3, 40, 5)
    other = told.clone()
    other[:, : 2 * FIRST] = 9
    assert hints(mine, [told])[0] == hints(mine, [other])[0]


def test_layers_learn_alone_then_apart_then_together():
    torch.manual_seed(0)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    trainer = Trainer(smoke_windows(), Settings(10, 1, 1, speakers=4, per_speaker=2), Voiceprint(TINY), teacher)
    peaks = {**RATES, "together": trainer.settings.learning_rate}
    for seconds, stage in ((0.0, "alone"), (60.0, "apart"), (120.0, "together")):
        trainer.seconds = seconds
        assert trainer.stage == stage
        assert (max(trainer._draw().shape[1] for _ in range(20)) > 300) == (stage == "together")
        begun = trainer.steps
        losses = trainer.step()
        assert {"layer 1", "layer 2", "on the way"} < losses.keys()
        assert trainer.learning_rate() < 0.1 * peaks[stage]
        trainer.steps += 1000
        assert trainer.begun == begun and trainer.learning_rate() == pytest.approx(peaks[stage], rel=0.1)


def test_a_resume_file_of_layers_alone_is_put_together_where_the_next_stage_begins():
    torch.manual_seed(0)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    alone, later = (
        Trainer(smoke_windows(), Settings(10, minutes, 5, speakers=4, per_speaker=2), Voiceprint(TINY), teacher)
        for minutes in (1, 0)
    )
    alone.step()
    later.restore(alone.state())
    assert later.now == "alone" and later.stage == "apart"
    alone.hints.put_together(alone.network.lstm)
    later._begin_stage()
    assert later.now == "apart"
    for name, weight in later.network.state_dict().items():
        torch.testing.assert_close(weight, alone.network.state_dict()[name])


def test_what_was_put_together_is_not_taken_apart_again(monkeypatch):
    monkeypatch.setattr("core.training.student.UNKNOWN", float("inf"))  # it knows nothing yet
    torch.manual_seed(0)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    settings = Settings(10, 2, 1, speakers=4, per_speaker=2)
    published = Trainer(smoke_windows(), Settings(), Voiceprint(TINY), teacher)
    for begin in ("begin_with", "restore"):
        trainer = Trainer(smoke_windows(), settings, Voiceprint(TINY), teacher)
        assert trainer.stage == "alone"
        if begin == "restore":
            trainer.restore(published.state())
        else:
            card = Card("encoder", "voiceprint", "x", steps=1, extra={"minutes": 0.0})
            trainer.begin_with(card, published.published().state_dict())
        assert trainer.stage == "apart"
        before = trainer.published()
        trainer._begin_stage()
        for name, weight in trainer.published().state_dict().items():
            torch.testing.assert_close(weight, before.state_dict()[name])


def test_what_a_layer_is_told_it_learns():
    torch.manual_seed(1)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    settings = Settings(100, 0, 99, speakers=8, per_speaker=2, seed=1)
    trainer = Trainer(smoke_windows(), settings, Voiceprint(TINY), teacher)
    losses = [trainer.step() for _ in range(50)]
    for layer, bound in (("layer 1", 0.4), ("layer 2", 0.8)):
        distance = [step[layer] for step in losses]
        assert sum(distance[-10:]) < bound * sum(distance[:10])


def test_a_student_of_the_teachers_own_shape_gets_no_hints():
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    student = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    trainer = Trainer(smoke_windows(), Settings(10, 5, 5, speakers=4, per_speaker=2), student, teacher)
    assert trainer.hints is None and trainer.stage == "together"
    assert "layer 1" not in trainer.step()


def test_a_narrower_student_gets_no_hints():
    teacher = GE2E(GE2EConfig(hidden_size=17, n_layers=2))
    trainer = Trainer(smoke_windows(), Settings(10, 5, 5, speakers=4, per_speaker=2), Voiceprint(TINY), teacher)
    assert trainer.hints is None and "layer 1" not in trainer.step()


def test_a_new_student_is_inclined_to_remember():
    torch.manual_seed(0)
    lstm = new_student("voiceprint", tiny=True).lstm
    for bias in (lstm.bias_ih_l0, lstm.bias_ih_l1):
        forget = bias.detach()[16:32]
        assert forget.min() > 0.7 and bias.detach()[:16].abs().max() < 0.3


def test_units_that_know_other_things_are_told_nothing():
    torch.manual_seed(0)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    settings = Settings(10, 2, 1, speakers=4, per_speaker=2)
    stranger = Trainer(smoke_windows(), Settings(), Voiceprint(TINY), teacher)
    begun, resumed = (Trainer(smoke_windows(), settings, Voiceprint(TINY), teacher) for _ in range(2))
    card = Card("encoder", "voiceprint", "x", steps=1, extra={"minutes": 0.0})
    begun.begin_with(card, stranger.published().state_dict())
    resumed.restore(stranger.state() | {"hints": {}})
    for trainer in (begun, resumed):
        assert trainer.hints is None and trainer.stage == "together"
        assert "layer 1" not in trainer.step()
    resumed.restore(resumed.state())
    assert resumed.hints is None


def test_a_resume_file_without_these_hints_is_gone_on_from(monkeypatch):
    monkeypatch.setattr("core.training.student.UNKNOWN", float("inf"))  # it knows nothing yet
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    settings = Settings(speakers=4)
    trainer = Trainer(smoke_windows(), settings, Voiceprint(TINY), teacher)
    before = Trainer(smoke_windows(), settings, Voiceprint(TINY)).state()  # nobody taught it: no hints
    for hints in ({}, trainer.hints.state_dict() | {"readers.0.weight": torch.zeros(32, 16)}):  # of another kind
        trainer.restore(before | {"hints": hints})
        fitted = [reader.weight.clone() for reader in trainer.hints.readers]
        mels, told = trainer._some_told()
        trainer.hints.fit(trainer._states(mels, told), told)
        for reader, weight in zip(trainer.hints.readers, fitted, strict=True):
            torch.testing.assert_close(reader.weight, weight)
        trainer.step()
