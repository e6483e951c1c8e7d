import pytest

torch = pytest.importorskip("torch")

from core.models.ge2e import GE2E, GE2EConfig  # noqa: E402
from core.models.voiceprint import Voiceprint, VoiceprintConfig  # noqa: E402
from core.training.encoder import new_student, smoke_windows  # noqa: E402
from core.training.layers import FIRST, Hints, layer_states  # noqa: E402
from core.training.student import APART_RATE, Settings, Trainer  # noqa: E402

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
    for apart, reached in ((False, {0, 1, 2}), (True, {2})):
        lstm.zero_grad()
        layer_states(lstm, x, apart)[2].sum().backward()
        weights = {number: getattr(lstm, f"weight_ih_l{number}").grad for number in range(3)}
        assert {number for number, grad in weights.items() if grad is not None and grad.abs().sum() > 0} == reached


def test_what_can_be_read_off_is_read_without_having_been_learnt():
    torch.manual_seed(0)
    mine = [torch.randn(30, 20, 8) for _ in range(2)]
    told = [torch.tanh(layer @ torch.randn(8, 10)).reshape(30, 40, 5) for layer in mine]  # two frames a step
    told[1] += 0.5 * torch.randn_like(told[1])
    hints = Hints(2, 8, 5, 2)
    before = [float(loss.detach()) for loss in hints(mine, told)]
    hints.fit(mine, told)
    after = [float(loss.detach()) for loss in hints(mine, told)]
    assert after[0] < 0.4 < after[1] < 1 < min(before)
    torch.testing.assert_close(
        hints([torch.zeros_like(layer) for layer in mine], told)[0].item(), 1.0, atol=0.1, rtol=0
    )


def test_the_first_steps_are_not_asked_for():
    torch.manual_seed(0)
    hints, mine = Hints(1, 8, 5, 1), [torch.randn(3, 20, 8)]
    told = torch.randn(3, 20, 5)
    other = told.clone()
    other[:, :FIRST] = 9
    assert hints(mine, [told])[0] == hints(mine, [other])[0]


def test_layers_learn_apart_then_together():
    torch.manual_seed(0)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    trainer = Trainer(smoke_windows(), Settings(10, 1, speakers=4, per_speaker=2), Voiceprint(TINY), teacher)
    assert trainer.apart
    assert trainer._draw().shape[1] <= 160
    losses = trainer.step()
    assert {"layer 1", "layer 2", "on the way"} < losses.keys()
    trainer.steps = 1000
    assert trainer.learning_rate() == pytest.approx(APART_RATE, rel=0.1)
    trainer.seconds = 61
    assert not trainer.apart
    assert max(trainer._draw().shape[1] for _ in range(20)) > 300
    assert trainer.learning_rate() == pytest.approx(trainer.settings.learning_rate, rel=0.1)


def test_what_a_layer_is_told_it_learns():
    torch.manual_seed(1)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    settings = Settings(100, 99, speakers=8, per_speaker=2, seed=1)
    trainer = Trainer(smoke_windows(), settings, Voiceprint(TINY), teacher)
    losses = [trainer.step() for _ in range(150)]
    for layer, bound in (("layer 1", 0.4), ("layer 2", 0.8)):
        distance = [step[layer] for step in losses]
        assert sum(distance[-10:]) < bound * sum(distance[:10])


def test_a_student_of_the_teachers_own_shape_gets_no_hints():
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    student = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    trainer = Trainer(smoke_windows(), Settings(10, 5, speakers=4, per_speaker=2), student, teacher)
    assert trainer.hints is None and not trainer.apart
    assert "layer 1" not in trainer.step()


def test_a_new_student_is_inclined_to_remember():
    torch.manual_seed(0)
    lstm = new_student("voiceprint", tiny=True).lstm
    for bias in (lstm.bias_ih_l0, lstm.bias_ih_l1):
        forget = bias.detach()[16:32]
        assert forget.min() > 0.7 and bias.detach()[:16].abs().max() < 0.3


def test_a_resume_file_without_hints_is_gone_on_from():
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    settings = Settings(speakers=4)
    trainer = Trainer(smoke_windows(), settings, Voiceprint(TINY), teacher)
    before = Trainer(smoke_windows(), settings, Voiceprint(TINY)).state()  # nobody taught it: no hints
    trainer.restore(before)
    fitted = [reader.weight.clone() for reader in trainer.hints.readers]
    trainer._fit_hints()
    for reader, weight in zip(trainer.hints.readers, fitted, strict=True):
        torch.testing.assert_close(reader.weight, weight)
    trainer.step()
