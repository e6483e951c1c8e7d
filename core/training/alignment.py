"""When each phone is heard: forced alignment by pocketsphinx's English acoustic model.

Every word is given to the aligner with exactly the phones that the synthesizer will read (espeak-ng's, written in
CMU's), so the times of CMU phones are the times of ours and no second guess is needed. Silences between words come out
too: they are the pauses to learn from.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.text.normalise import normalise
from core.text.phonemes import Phones, phonemize
from core.training.data import SAMPLE_RATE, SpeechCache

FRAME = 0.01  # seconds per aligner frame

# espeak-ng phone -> CMU phones. Longest letters win; what is not here falls back to its letters one by one.
_CMU = {
    "aɪɚ": "AY ER", "aɪə": "AY AH", "aʊɚ": "AW ER", "ɔːɹ": "AO R", "oːɹ": "AO R", "ɑːɹ": "AA R", "ɪɹ": "IH R",
    "ɛɹ": "EH R", "ʊɹ": "UH R", "iə": "IY AH", "əl": "AH L", "n̩": "AH N", "m̩": "AH M", "l̩": "AH L", "tʃ": "CH",
    "dʒ": "JH", "eɪ": "EY", "aɪ": "AY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW", "ɔɪ": "OY", "iː": "IY", "i": "IY",
    "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "ɛ": "EH", "æ": "AE", "ɑː": "AA", "ɑ": "AA", "a": "AA", "aː": "AA", "ɒ": "AA",
    "ɔː": "AO", "ɔ": "AO", "o": "OW", "oː": "AO", "ʊ": "UH", "uː": "UW", "u": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH",
    "ɚ": "ER", "ɜː": "ER", "ɜ": "ER", "e": "EY", "eː": "EY", "ɛː": "EH", "øː": "ER", "œ": "ER", "y": "UW",
    "yː": "UW", "ʔ": "T", "ɾ": "T", "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F",
    "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N",
    "ŋ": "NG", "ɲ": "N", "l": "L", "ɫ": "L", "ɬ": "L", "ɹ": "R", "r": "R", "ʁ": "R", "j": "Y", "w": "W", "x": "K",
    "ç": "HH",
}  # fmt: skip


@dataclass(frozen=True)
class Timed:
    """One phone, or a silence between words (word -1), with its times in seconds from the start of the sound."""

    word: int
    phone: int
    start: float
    end: float


def cmu(letters: str) -> list[str]:
    """CMU phones of one espeak-ng phone; never empty."""
    result, i = [], 0
    while i < len(letters):
        for size in (3, 2, 1):
            if letters[i : i + size] in _CMU:
                result += _CMU[letters[i : i + size]].split()
                i += size
                break
        else:
            i += 1
    return result or ["AH"]


def pronunciation(phones: Phones) -> str:
    """The CMU phones of a word, space-separated."""
    return " ".join(p for phone in phones for p in cmu(phone.letters))


def open_decoder(pronunciations: Iterable[tuple[str, str]], **settings):
    """A pocketsphinx decoder that knows these words alone: (name, CMU phones) each. Raises ImportError without it."""
    from pocketsphinx import Decoder

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.dict"
        path.write_text("".join(f"{name} {phones}\n" for name, phones in pronunciations))
        return Decoder(samprate=SAMPLE_RATE, lm=None, dict=str(path), loglevel="FATAL", bestpath=False, **settings)


def hear(decoder, samples: np.ndarray) -> None:
    """Passes one whole sound, float32 (n_samples,) at 16 kHz, in [-1, 1], through the decoder."""
    decoder.start_utt()
    decoder.process_raw((samples * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()


class Aligner:
    """Aligns sound to known words. Loads a dictionary of all their pronunciations once (adding words later is slow)."""

    def __init__(self, words: Iterable[Phones]):
        self._names = {p: f"w{i}" for i, p in enumerate(sorted({pronunciation(phones) for phones in words if phones}))}
        # ds=2, every second frame scored in full: 1.7 times as fast, 1.5 % of the times move by more than 20 ms
        self._decoder = open_decoder(
            ((name, p) for p, name in self._names.items()), beam=1e-60, wbeam=1e-40, pbeam=1e-60, ds=2
        )

    def align(self, samples: np.ndarray, words: Sequence[Phones]) -> list[Timed] | None:
        """Phones and inner silences in order of time, or None where the words do not fit the sound.

        samples: float32 (n_samples,) at 16 kHz. words: the phones of each word; each must be among those given before.
        """
        peak = float(np.abs(samples).max(initial=0))
        if not peak or not words or not all(words):
            return None
        sound = samples / peak * 0.8
        try:
            self._decoder.set_align_text(" ".join(self._names[pronunciation(phones)] for phones in words))
            hear(self._decoder, sound)
            self._decoder.set_alignment()
            hear(self._decoder, sound)
            alignment = self._decoder.get_alignment()
        except RuntimeError:
            return None
        if alignment is None:
            return None
        timed: list[Timed] = []
        w = 0
        for entry in alignment:
            if not entry.name.startswith("w"):  # <s>, <sil>, noises
                timed.append(Timed(-1, -1, entry.start * FRAME, (entry.start + entry.duration) * FRAME))
                continue
            times = [(part.start, part.start + part.duration) for part in entry]
            if w >= len(words) or len(times) != len(pronunciation(words[w]).split()):
                return None
            at = 0
            for p, phone in enumerate(words[w]):
                n = len(cmu(phone.letters))
                timed.append(Timed(w, p, times[at][0] * FRAME, times[at + n - 1][1] * FRAME))
                at += n
            w += 1
        return timed if w == len(words) else None


@dataclass(frozen=True)
class Aligned:
    """The alignment of one utterance, as flat arrays over its phones and silences, in order of time.

    letters: str, "" for a silence. stress: 0, 1, 2. word: index of the word, -1 for a silence. starts, ends: seconds.
    """

    letters: np.ndarray
    stress: np.ndarray
    word: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def flattened(timed: list[Timed], words: Sequence[Phones]) -> Aligned:
    """What the aligner found of one utterance, as flat arrays. words: the phones of each."""
    phones = [words[t.word][t.phone] if t.word >= 0 else None for t in timed]
    return Aligned(
        np.array([p.letters if p else "" for p in phones], dtype="U4"),
        np.array([p.stress if p else 0 for p in phones], np.int8),
        np.array([t.word for t in timed], np.int16),
        np.array([t.start for t in timed], np.float32),
        np.array([t.end for t in timed], np.float32),
    )


def align_utterances(cache: SpeechCache, indices: Sequence[int]) -> dict[str, Aligned]:
    """Alignments of utterances by utt_id; those whose text does not fit their sound are left out.

    Costs about 1 s of one core for 50 s of speech.
    """
    words = {}
    for i in indices:
        phones = phonemize([spoken for word in normalise(cache.rows[i].text) for spoken in word.spoken])
        if phones and all(phones):
            words[i] = phones
    aligner = Aligner(phones for utterance in words.values() for phones in utterance)
    found: dict[str, Aligned] = {}
    for i, phones in words.items():
        timed = aligner.align(cache.samples(i), phones)
        if timed is not None:
            found[cache.rows[i].utt_id] = flattened(timed, phones)
    return found


def save_alignments(path: Path, alignments: dict[str, Aligned]) -> None:
    """One npz of flat arrays, written beside and then replaced."""
    values = list(alignments.values())
    offsets = np.cumsum([0, *(len(a.word) for a in values)])
    arrays = (
        {name: np.concatenate([getattr(a, name) for a in values]) for name in Aligned.__dataclass_fields__}
        if values
        else {}
    )
    beside = path.with_suffix(".part.npz")
    np.savez_compressed(beside, utt_ids=np.array(list(alignments)), offsets=offsets, **arrays)
    beside.replace(path)


def load_alignments(path: Path) -> dict[str, Aligned]:
    """What `save_alignments` wrote, or nothing if the file is missing."""
    if not Path(path).exists():
        return {}
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in Aligned.__dataclass_fields__ if name in stored}
        bounds = stored["offsets"]
        return {
            str(utt_id): Aligned(**{name: array[a:b] for name, array in arrays.items()})
            for utt_id, a, b in zip(stored["utt_ids"], bounds[:-1], bounds[1:], strict=True)
        }
