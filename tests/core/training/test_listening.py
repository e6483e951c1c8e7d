import numpy as np
import pytest

torch = pytest.importorskip("torch")

from core.models.ge2e import GE2E, GE2EConfig  # noqa: E402
from core.training.encoder import smoke_windows  # noqa: E402
from core.training.listening import FRAMES, STRETCH, Listening  # noqa: E402
from core.training.windows import WINDOW, Windows  # noqa: E402


def utterances(n: int = 60) -> Windows:
    """Noise of 4 s, an utterance and a voice (of four numbers) each; its loudness says which it is."""
    rng = np.random.default_rng(0)
    sounds = [(10 ** rng.uniform(1.5, 3.5) * rng.standard_normal(64000)).astype(np.int16) for _ in range(n)]
    number, begin = np.repeat(np.arange(n), 2), np.tile([0, 64000 - WINDOW], n)
    windows = Windows(sounds, number, begin, np.full(2 * n, WINDOW), number, number)
    loud = torch.from_numpy(np.stack([windows.mel(w) for w in range(2 * n)])).mean(dim=(1, 2))
    windows.targets = windows.voices = voice_of(loud).numpy()
    return windows


def voice_of(loudness: torch.Tensor) -> torch.Tensor:
    """The voice (n, 4) of who is so loud (n,)."""
    at = torch.log(loudness)[:, None] * torch.tensor([0.3, 0.7, 1.1, 1.6])
    return torch.nn.functional.normalize(1.2 + torch.sin(at), dim=1)


class Drifting:
    """A teacher that says who it is by loudness, and turns away the longer it listens past 160 frames."""

    def each(self, mels: torch.Tensor) -> torch.Tensor:
        voices = voice_of(mels.mean(dim=(1, 2)))
        past = torch.arange(mels.shape[1]) - 159
        turn = 0.3 * (past > 0) + 0.002 * past.clamp_min(0)
        drifted = voices[:, None].repeat(1, mels.shape[1], 1)
        first, second = drifted[..., 0].clone(), drifted[..., 1].clone()
        drifted[..., 0] = torch.cos(turn) * first - torch.sin(turn) * second
        drifted[..., 1] = torch.sin(turn) * first + torch.cos(turn) * second
        return drifted


def test_what_a_teacher_answers_later_is_brought_back_to_the_voice():
    windows, teacher = utterances(), Drifting()
    mels = torch.from_numpy(np.stack([np.tile(windows.mel(w), (2, 1)) for w in range(20)]))
    voices = voice_of(mels.mean(dim=(1, 2)))
    drifted = teacher.each(mels)
    answers = Listening(teacher, windows).in_place(drifted)
    assert answers.shape == (20, FRAMES, 4)
    torch.testing.assert_close(answers[:, :160], drifted[:, :160])  # what it was made for stays
    for frame in (160 + STRETCH // 2, FRAMES - STRETCH // 2):
        assert ((drifted[:, frame] * voices).sum(dim=1)).mean() < 0.98
        assert ((answers[:, frame] * voices).sum(dim=1)).min() > 0.9999


def test_people_stay_as_far_apart_as_the_teacher_heard_them():
    windows, teacher = utterances(), Drifting()
    mels = torch.from_numpy(np.stack([np.tile(windows.mel(w), (2, 1)) for w in range(20)]))
    drifted = teacher.each(mels)
    drifted, answers = drifted[:, -10], Listening(teacher, windows).in_place(drifted)[:, -10]
    torch.testing.assert_close(torch.cdist(answers, answers), torch.cdist(drifted, drifted), atol=0.01, rtol=0)


def test_less_than_all_frames_may_be_heard():
    teacher = Drifting()
    listening = Listening(teacher, utterances())
    mels = torch.from_numpy(np.stack([smoke_windows().mel(w) for w in range(4)]))
    for n_frames in (100, 160, 170, 300):
        answers = teacher.each(mels.repeat(1, 2, 1)[:, :n_frames])
        assert listening.in_place(answers).shape == (4, n_frames, 4)


def test_a_teacher_is_heard_with_what_its_layers_know():
    teacher = GE2E(GE2EConfig(hidden_size=16, n_layers=2)).eval().requires_grad_(False)
    windows = smoke_windows()
    mels = torch.from_numpy(np.stack([windows.mel(w) for w in range(4)]))
    states, answers = Listening(teacher, windows).hear(mels)
    assert [state.shape for state in states] == [(4, 160, 16)] * 2
    torch.testing.assert_close(answers[:, -1], teacher(mels))
