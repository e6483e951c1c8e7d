import itertools
import multiprocessing
import threading

import pytest

torch = pytest.importorskip("torch")

from core.models.ge2e import GE2E, GE2EConfig  # noqa: E402
from core.models.voiceprint import Voiceprint, VoiceprintConfig  # noqa: E402
from core.training.encoder import main, smoke_windows  # noqa: E402
from core.training.sisters import Sisters, begin_sisters  # noqa: E402
from core.training.student import MEET, USES, Settings, Trainer  # noqa: E402


def bring(sisters: Sisters) -> None:
    for turn in itertools.count():
        sisters.mean(torch.tensor([10.0 * turn, 1.0]))


def fail(sisters: Sisters) -> None:
    raise SystemExit(1)


def test_processes_take_the_mean_of_what_they_bring_until_one_ends():
    others = set(multiprocessing.active_children())
    sisters = begin_sisters(3, 2, bring)
    started = set(multiprocessing.active_children()) - others
    assert len(started) == 2
    for turn in range(3):
        mean = sisters.mean(torch.tensor([10.0 * turn + 3, 4.0]))
        torch.testing.assert_close(mean, torch.tensor([10.0 * turn + 1, 2.0]))
    sisters.end()
    for process in started:
        process.join(60)
        assert process.exitcode == 0


def test_nobody_waits_for_a_process_that_failed():
    with pytest.raises(threading.BrokenBarrierError):
        begin_sisters(2, 2, fail).mean(torch.zeros(2))


def test_sisters_go_on_from_the_mean_of_what_they_learnt():
    torch.manual_seed(0)
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2))
    student = Voiceprint(VoiceprintConfig(hidden_size=16, n_layers=2)).state_dict()
    trainers = []
    for seed in (0, 1):
        network = Voiceprint(VoiceprintConfig(hidden_size=16, n_layers=2))
        network.load_state_dict(student)
        trainers.append(Trainer(smoke_windows(), Settings(10, speakers=2, seed=seed), network, teacher))
    vectors, barrier = torch.zeros(2, trainers[0].size), threading.Barrier(2)
    before = [step_until_they_meet(trainer, place, vectors, barrier) for place, trainer in enumerate(trainers)]
    threads = [threading.Thread(target=trainer.step) for trainer in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torch.equal(*before)
    weights = [torch.nn.utils.parameters_to_vector(trainer._learning()) for trainer in trainers]
    assert torch.equal(*weights)
    assert trainers[0].seconds == trainers[1].seconds > 0 == trainers[0].worked


def step_until_they_meet(trainer: Trainer, place: int, vectors: torch.Tensor, barrier) -> torch.Tensor:
    """All steps but the last one before a meeting. Returns the weights."""
    trainer.sisters = Sisters(place, vectors, barrier)
    while trainer.steps < MEET - USES["together"]:
        trainer.step()
    assert trainer.seconds == 0 < trainer.worked
    return torch.nn.utils.parameters_to_vector(trainer._learning()).detach()


def test_two_processes_publish_what_one_would(tmp_path, capfd):
    folders = ["--runs", str(tmp_path / "runs"), "--output", str(tmp_path)]
    assert main(["--smoke", "--processes", "2", *folders]) == 0
    assert (tmp_path / "encoder" / "voiceprint.safetensors").exists()
    assert "Traceback" not in capfd.readouterr().err
