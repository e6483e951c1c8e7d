"""Finds the voice to ask a synthesizer for, so that it is heard as the one that was wanted.

A synthesizer that learnt from a few hundred people answers a stranger's voice with something nearer to those it knows.
So it is heard out once for each voice: it says some sentences, our encoder listens to the mel (`core.inference.ear`),
and the voice asked for is moved, by gradient, to where the one heard is nearer to the one wanted. The weights stay, and
so do melody and rhythm: moved along, the pitch was 1.4 semitones off in the median instead of 0.8.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.inference.ear import FRAMES, Ear, ear_card
from core.inference.synthesizer import TempoSynthesizer, one_thread
from core.progress import Report, silent
from core.text.script import Script, write_script
from core.types import Embedding, TunedVoice

SENTENCES = (
    "Every morning the old baker opened his shop before the sun came up.",
    "She thought the weather would change, but nobody listened to her.",
    "Join us for a quick lunch by the river, and bring your favourite book.",
    "Few people know how much work goes into a single page of music.",
)
STEPS, RATE = 28, 0.005
KEPT = 64
"""Voices remembered: tuning one takes some seconds."""


class Tuner:
    """Tunes voices for one synthesizer. The same voice always becomes the same. Not for two threads at once."""

    def __init__(self, synthesizer: TempoSynthesizer, ear: Ear):
        self.synthesizer, self.ear = synthesizer, ear
        self._scripts = [write_script(sentence, synthesizer.language) for sentence in SENTENCES]
        self._tuned: dict[bytes, TunedVoice] = {}

    def tune(self, voice: Embedding, report: Report = silent) -> TunedVoice:
        """The voice to ask for instead. Raises FormatMismatch for an embedding of another space."""
        self.synthesizer.check_space(voice)
        key = voice.vector.tobytes()
        if key not in self._tuned:
            while len(self._tuned) >= KEPT:
                self._tuned.pop(next(iter(self._tuned)))
            with torch.inference_mode(False), torch.enable_grad(), one_thread():
                self._tuned[key] = TunedVoice(self._search(voice.vector, report), voice.encoder, voice)
        return self._tuned[key]

    def _search(self, wanted: np.ndarray, report: Report) -> np.ndarray:
        goal = torch.tensor(wanted)
        manners = [self.synthesizer.manner(script, goal) for script in self._scripts]  # they stay the wanted voice's
        voice = goal.clone().requires_grad_(True)
        optimiser = torch.optim.Adam([voice], lr=RATE)
        for step in range(STEPS):
            report(step / STEPS, "tuning to the voice")
            turn = step % len(self._scripts)
            heard = self._heard(self._scripts[turn], manners[turn], voice / voice.norm())
            loss = -(heard * goal).sum() / heard.norm()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return (voice / voice.norm()).detach().numpy()

    def _heard(self, script: Script, manner: tuple[Tensor, Tensor], voice: Tensor) -> Tensor:
        """The voice heard in a script said, (d,), with gradients."""
        mel = self.synthesizer.said(script, manner, voice)
        starts = range(0, max(1, mel.shape[1] - FRAMES + 1), FRAMES // 2)
        return self.ear(torch.cat([mel[:, start : start + FRAMES] for start in starts])).mean(dim=0)


def tuner_for(synthesizer, folder: Path) -> Tuner | None:
    """A tuner, where the synthesizer can be tuned and an encoder of our own in its space lies in the folder."""
    if not isinstance(synthesizer, TempoSynthesizer):
        return None
    card = ear_card(folder, synthesizer.space)
    if card is None:
        return None
    constants = synthesizer.card.extra["constants"]
    with torch.inference_mode(False):
        return Tuner(synthesizer, Ear(card, constants["mel_mean"], constants["mel_std"]))
