"""Tempo at work: a sentence and a voice in, a mel and its alignment out."""

from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from core.errors import FormatMismatch
from core.inference.registry import Card
from core.models.tempo import Tempo, TempoConfig, as_spoken
from core.progress import Report, silent
from core.text.script import Script, write_script
from core.text.symbols import ALPHABETS, BOUNDARY, END, LONG_PAUSE, SHORT_PAUSE, START, Phone
from core.types import Alignment, Embedding, Mel, SpeakOptions, TunedVoice

LONGEST_PHONE, LONGEST_PAUSE = 0.45, 0.7  # seconds, at normal speed
SHORTEST_PHONE = 0.02
DRAWN, EXCESS = 0.1, 0.6
"""Where no pause follows, a phone gets only this share of what the model would have it last beyond so many seconds. In
132 held-back readings phones meant to last 0.14 s lasted 0.135 on average, those meant to last 0.24 s only 0.21; drawn
vowels also pass for two ("two a.m.")."""
LIVELINESS = 1.4
"""The melody is a mean over readings, so flatter than any: within a held-back sentence its F0 spreads half as far as
the reader's. Its steps around the sentence's middle are made this much larger."""
PACE = 1.09
"""So that a held-back text of a known speaker lasts as long as the reading."""
BREATH = 16
"""Words said in one breath where punctuation asks for no pause. Readers of punctuated texts pause at 0.1 to 4 % of such
places (VCTK, Kathleen, LJ Speech), mostly for under 0.3 s; those of LibriSpeech at 8 %, but its texts have no
punctuation to tell a comma by."""
_PAUSE_MARKS = (BOUNDARY, SHORT_PAUSE, LONG_PAUSE)


class TempoSynthesizer:
    """The Synthesizer role. One sentence at a time: its neighbours cannot change it. Not for two threads at once."""

    def __init__(self, card: Card, tensors: dict[str, Tensor]):
        """Raises KeyError, TypeError or RuntimeError where the weights do not fit the card."""
        self.card = card
        self.name, self.space, self.mel_format = card.name, card.space, card.mel_format
        self.alphabet = ALPHABETS[card.symbols].name
        self.language = card.languages[0] if card.languages else "en"
        constants = card.extra["constants"]
        self._mean = torch.tensor(constants["mel_mean"])
        self._std = torch.tensor(constants["mel_std"])
        self._statistics = card.extra["statistics"]
        with torch.inference_mode(False):
            self.model = Tempo(TempoConfig(**card.config))
            self.model.load_state_dict(
                {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}, strict=True
            )
        self.model.eval().requires_grad_(False)

    def synthesize(
        self,
        sentence: str,
        voice: Embedding,
        seed: int = 0,
        options: SpeakOptions = SpeakOptions(),
        report: Report = silent,
    ) -> tuple[Mel, Alignment]:
        """The mel of one sentence, and when its symbols and words are heard. The same arguments give the same mel.

        Raises TextError when nothing in the sentence can be spoken, FormatMismatch for an embedding of another space.
        """
        self.check_space(voice)
        report(0.0, "reading")
        script = write_script(sentence, self.language, dict(options.pronunciations))
        with torch.inference_mode(), one_thread():
            wanted = voice.wanted if isinstance(voice, TunedVoice) else voice
            manner = self._condition(torch.tensor(wanted.vector))  # tuning leaves rhythm and melody as they were
            script = self._with_pauses(script, manner, punctuated=any(mark in sentence for mark in ",;:.!?"))
            frames, mel = self._speak(script, voice, manner, seed, options, report)
        report(1.0, "")
        return mel, self._alignment(script, frames)

    def check_space(self, voice: Embedding) -> None:
        """Raises FormatMismatch for an embedding of another space."""
        if voice.encoder != self.space:
            raise FormatMismatch(
                f"{self.name} speaks with voices of {self.space}, this one was embedded by {voice.encoder}.",
                "Embed the voice again.",
            )

    def _speak(
        self, script: Script, voice: Embedding, manner: Tensor, seed: int, options: SpeakOptions, report: Report
    ) -> tuple[np.ndarray, Mel]:
        """Frames of each symbol, and the mel with its pitch. manner: the condition of rhythm and melody."""
        model, condition = self.model, manner
        ids, mask = self._read(script)
        report(0.1, "rhythm and melody")
        with _reporting(model.text, report, 0.1, 0.3), _reporting(model.prosody_blocks, report, 0.3, 0.4):
            states = model.encode(ids, condition, mask)
            guess = model.prosody(states, condition, mask)
        guess = self._vary(livelier(guess), seed, options.temperature)
        frames = self._frames(guess[0, :, 0], script, options.speed)
        if isinstance(voice, TunedVoice):
            condition = self._condition(torch.tensor(voice.vector))
            states = model.encode(ids, condition, mask)
        with _reporting(model.frame_blocks, report, 0.45, 0.95):
            mel = self._decode(states, guess, frames, condition)[0]
        mel = (mel * self._std + self._mean).clamp(float(np.log(self.mel_format.floor)), 3.0)
        melody = self.model.melody(as_spoken(guess), frames[None])[0]
        return frames.numpy(), Mel(mel.T.contiguous().numpy(), self.mel_format, melody.numpy())

    def _condition(self, voice: Tensor) -> Tensor:
        """Voice (d,) -> the condition of every block, (1, d_condition)."""
        return self.model.condition(voice[None], torch.zeros(1, dtype=torch.long))

    def _read(self, script: Script) -> tuple[Tensor, Tensor]:
        """The script's ids (1, N, 4), and their mask (1, N, 1)."""
        ids = torch.from_numpy(script.ids(self.alphabet).astype(np.int64))[None]
        return ids, torch.ones(1, ids.shape[1], 1)

    def _decode(self, states: Tensor, guess: Tensor, frames: Tensor, condition: Tensor) -> Tensor:
        """The normalised mel, (1, n_frames, n_mels). guess: the prosody (1, N, 6); frames: int64 (N,)."""
        length, reduction = int(frames.sum()), self.model.config.reduction
        padded = -(-length // reduction) * reduction
        return self.model.decode(states, as_spoken(guess), frames[None], condition, padded)[:, :length]

    @torch.no_grad()
    def manner(self, script: Script, voice: Tensor) -> tuple[Tensor, Tensor]:
        """Prosody (1, N, 6) and frames (N,) of a script as it stands, plainly said in a voice (d,)."""
        (ids, mask), condition = self._read(script), self._condition(voice)
        guess = livelier(self.model.prosody(self.model.encode(ids, condition, mask), condition, mask))
        return guess, self._frames(guess[0, :, 0], script, 1.0)

    def said(self, script: Script, manner: tuple[Tensor, Tensor], voice: Tensor) -> Tensor:
        """The normalised mel (1, n_frames, n_mels) of a script said in a given manner, with gradients to the voice
        (d,)."""
        (ids, mask), condition = self._read(script), self._condition(voice)
        return self._decode(self.model.encode(ids, condition, mask), *manner, condition)

    def _with_pauses(self, script: Script, condition: Tensor, punctuated: bool) -> Script:
        """Adds the pauses that a reader would make where the text asks for none.

        Short ones, where a reader would run out of breath; in a long text without punctuation, first as many as the
        model expects. At the likeliest word boundaries, never inside a number, nor two within about a second.
        """
        marks = [k for k, symbol in enumerate(script.symbols) if symbol.letters in _PAUSE_MARKS]
        if not marks:
            return script
        plain = [Phone(BOUNDARY) if k in set(marks) else symbol for k, symbol in enumerate(script.symbols)]
        ids = torch.from_numpy(ALPHABETS[self.alphabet].encode(plain).astype(np.int64))[None]
        chances = self.model.pauses(ids, condition, torch.ones(1, len(plain), 1))[0, marks].softmax(-1)
        any_pause = 1 - chances[:, 0]
        symbols = list(script.symbols)
        taken = {0, len(symbols) - 1} | {k for k in marks if symbols[k].letters != BOUNDARY}
        expected = 0 if punctuated or len(marks) < BREATH else round(float(any_pause.sum())) - (len(taken) - 2)
        for m in torch.argsort(any_pause, descending=True).tolist():
            k = marks[m]
            before, after = max(t for t in taken if t <= k), min(t for t in taken if t >= k)
            breathless = sum(before < mark < after for mark in marks) >= BREATH
            inside = script.owners[k - 1] == script.owners[k + 1]  # of a number: nine | forty
            if inside or min(k - before, after - k) < 12 or not (expected > 0 or breathless):
                continue
            symbols[k] = Phone(LONG_PAUSE if expected > 0 and chances[m, 2] > chances[m, 1] else SHORT_PAUSE)
            taken.add(k)
            expected -= 1
        return Script(tuple(symbols), script.owners, script.words)

    def _vary(self, guess: Tensor, seed: int, temperature: float) -> Tensor:
        """The prosody with some chance in it: durations and F0 drift slowly along the sentence."""
        if temperature <= 0:
            return guess
        generator = torch.Generator().manual_seed(seed & 0x7FFFFFFFFFFFFFFF)
        noise = torch.randn(1, 2, guess.shape[1] + 8, generator=generator)
        slow = torch.nn.functional.avg_pool1d(noise, 9, 1)[0] * 3  # unit variance again
        pace = float(torch.randn(1, generator=generator))
        guess = guess.clone()
        guess[0, :, 0] += temperature * (0.2 * self._statistics["duration_spread"] * slow[0] + 0.04 * pace)
        guess[0, :, 1:4] += temperature * 0.5 * self._statistics["f0_spread"] * slow[1][:, None]
        return guess

    def _frames(self, log_frames: Tensor, script: Script, speed: float) -> Tensor:
        """int64 frames of every symbol: none for a plain word boundary, at least one for the rest."""
        rate = self.mel_format.frame_rate
        letters = [symbol.letters for symbol in script.symbols]
        pause = torch.tensor([mark in (SHORT_PAUSE, LONG_PAUSE) for mark in letters])
        lasting = torch.tensor([mark != BOUNDARY for mark in letters])
        scale = torch.where(pause, self._statistics["pause_scale"], self._statistics["phone_scale"])
        frames = log_frames.exp() * scale * PACE
        drawn = _unhurried(letters) * (frames - DRAWN * rate).clamp(min=0)
        frames = frames - (1 - EXCESS) * drawn
        longest = torch.where(pause, LONGEST_PAUSE, LONGEST_PHONE) * rate
        frames = torch.minimum(frames.clamp(min=SHORTEST_PHONE * rate), longest) * lasting / speed
        ends = torch.round(
            frames.double().cumsum(0)
        ).long()  # rounding the ends keeps the whole as long as it should be
        result = torch.diff(ends, prepend=torch.zeros(1, dtype=torch.long))
        return torch.maximum(result, lasting.long())

    def _alignment(self, script: Script, frames: np.ndarray) -> Alignment:
        ends = np.cumsum(frames) / self.mel_format.frame_rate
        starts = np.append(0.0, ends[:-1])
        heard = np.flatnonzero(frames)
        words = []
        for index, word in enumerate(script.words):
            own = [k for k, owner in enumerate(script.owners) if owner == index]
            if own:
                words.append((word, float(starts[own[0]]), float(ends[own[-1]])))
        return Alignment(
            tuple(str(script.symbols[k]) for k in heard),
            tuple(float(starts[k]) for k in heard),
            tuple(float(ends[k]) for k in heard),
            tuple(words),
        )


def _unhurried(letters: list[str]) -> Tensor:
    """Bool (N,): the phones after which no pause comes within three symbols."""
    resting = [mark in (START, END, SHORT_PAUSE, LONG_PAUSE) for mark in letters]
    return torch.tensor([not any(resting[k : k + 4]) for k in range(len(letters))])


def livelier(guess: Tensor) -> Tensor:
    """The prosody (B, N, 6) with its F0 spread out around the mean of the voiced symbols."""
    voiced = (guess[..., 4] > 0).float()[..., None]
    middle = (guess[..., 1:4] * voiced).sum((1, 2), keepdim=True) / (3 * voiced.sum((1, 2), keepdim=True).clamp(min=1))
    return torch.cat([guess[..., :1], middle + LIVELINESS * (guess[..., 1:4] - middle), guess[..., 4:]], -1)


@contextmanager
def _reporting(blocks, report: Report, start: float, stop: float):
    """Reports before each block runs, so that even a long sentence can be cancelled at once."""
    handles = [
        block.register_forward_pre_hook(lambda *_, f=start + (stop - start) * k / len(blocks): report(f, "speaking"))
        for k, block in enumerate(blocks)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def one_thread():
    """Sums in one order whatever the machine: the same request gives the same numbers. It is fast enough."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
