"""What a teacher made for windows of 1.6 s answers when it is heard on, brought back to where its space has the voice.

A student that will hear whole utterances in one go must be told what to answer there. The published encoder's answers
past the 1.6 s that it was made for drift away from the place that the voice has in its space, much alike for everybody:
a rotation about the mean, found from training speech (orthogonal Procrustes: Schönemann 1966, Psychometrika 31), takes
them back, and leaves all distances as they are.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from core.audio.partials import WINDOW_FRAMES
from core.models.ge2e import GE2E
from core.training.augment import SPEED_PARTS, played, played_length
from core.training.layers import layer_states
from core.training.windows import Windows

FRAMES = 2 * WINDOW_FRAMES
"""Frames that are listened to in training: 3.2 s."""
STRETCH = 20
"""Frames that share a rotation."""


class Listening:
    """A teacher's answers after every frame, in place. For windows of FRAMES frames or fewer."""

    @torch.no_grad()
    def __init__(self, teacher: GE2E, windows: Windows, n: int = 2000, device: str = "cpu"):
        """n: training utterances, of the longer half, that the drift is found from."""
        self.teacher = teacher
        _, first = np.unique(windows.utterance, return_index=True)
        begin, end = windows.bounds[first].T
        longest = first[np.argsort(begin - end, kind="stable")][: max(2, len(first) // 2)]
        some = np.random.default_rng(0).permutation(longest)[:n]
        n_samples = played_length(SPEED_PARTS, FRAMES)
        middles = range(WINDOW_FRAMES + STRETCH // 2, FRAMES, STRETCH)
        answers = []
        for part in np.array_split(some, max(1, len(some) // 64)):
            mels = played(torch.from_numpy(np.stack([windows.excerpt(w, n_samples) for w in part])), SPEED_PARTS)
            answers.append(teacher.each(mels.to(device)).float()[:, list(middles)])
        voices = torch.from_numpy(windows.voices[some].astype(np.float32)).to(device)
        self.drifts = [_drift(answer, voices) for answer in torch.cat(answers).unbind(dim=1)]

    def hear(self, mels: Tensor) -> tuple[list[Tensor], Tensor]:
        """mels: energies (B, T, 40), T <= FRAMES -> what the teacher's layers say after each frame, (B, T, hidden_size)
        each, and its answers, (B, T, 256), of norm 1 and in place."""
        states = layer_states(self.teacher.lstm, mels)
        return states, self.in_place(self.teacher.answers(states[-1]))

    def in_place(self, answers: Tensor) -> Tensor:
        """The teacher's answers after each frame (B, T, 256), where they drift brought back."""
        answers = answers.float()
        parts = [answers[:, :WINDOW_FRAMES]]
        for answer, (here, rotation, there) in zip(
            answers[:, WINDOW_FRAMES:].split(STRETCH, dim=1), self.drifts, strict=False
        ):
            parts.append(normalize(relu((answer - here) @ rotation + there), dim=2))
        return torch.cat(parts, dim=1)


def _drift(answers: Tensor, voices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the answers (n, d) have their mean, the rotation (d, d) that takes them nearest to the voices (n, d), and
    where these have theirs."""
    here, there = answers.mean(dim=0), voices.mean(dim=0)
    left, _, right = torch.linalg.svd((answers - here).T @ (voices - there))
    return here, left @ right, there
