"""Alphabets that synthesizers read, versioned by name: a published model names the one it was trained with.

A symbol of speech is a phone of the International Phonetic Alphabet, as espeak-ng writes it ("tʃ", "ɔːɹ", "nʲ"). It is
encoded by its letters, not as a whole, so phones of a language never trained on still have an encoding close to that
of their relatives. Between phones stand marks: the edges of the sentence, the boundary between two words, and pauses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

START, END, BOUNDARY, SHORT_PAUSE, LONG_PAUSE = "^", "$", " ", ",", "."
MARKS = (START, END, BOUNDARY, SHORT_PAUSE, LONG_PAUSE)
SLOTS = 3
"""Letters of a phone that are encoded; a fourth, very rare, is left out."""

_IPA = (
    "abcdefhijklmnopqrstuvwxyzæçðøħŋœɐɑɒɓɔɕɖɗɘəɚɛɜɞɟɠɡɢɣɤɥɦɧɨɪɫɬɭɮɯɰɱɲɳɴɵɶɸɹɺɻɽɾʀʁʂʃʄʈʉʊʋʌʍʎʏʐʑʒʔʕʘʙʛʜʝʟʡʢβθχ"
    "ᵻᵊǀǁǂǃ"  # letters of espeak-ng's own habits, and clicks
    "ːˑʰʱʲʷˠˤⁿˡʼ˞̩̯̥̪̬̰̤̃̊̆̈̚͡"  # length, secondary articulation, and combining marks
    "˥˦˧˨˩12345"  # tones
)


@dataclass(frozen=True)
class Phone:
    """One symbol as spoken. letters: IPA, or one of MARKS. stress: 0 none, 1 primary, 2 secondary."""

    letters: str
    stress: int = 0

    def __str__(self) -> str:
        return ("", "ˈ", "ˌ")[self.stress] + self.letters


@dataclass(frozen=True)
class Alphabet:
    """Symbols and their numbers. 0 is "no letter here", 1 "a letter this alphabet lacks"."""

    name: str
    letters: str
    _index: dict = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self):
        self._index.update({letter: i + 2 for i, letter in enumerate((*MARKS, *self.letters))})

    @property
    def size(self) -> int:
        """One more than the largest number."""
        return len(self._index) + 2

    def encode(self, phones: Sequence[Phone]) -> np.ndarray:
        """int16 (n_phones, SLOTS + 1): the numbers of each phone's letters, and its stress last."""
        ids = np.zeros((len(phones), SLOTS + 1), np.int16)
        for row, phone in zip(ids, phones, strict=True):
            for slot, letter in enumerate(phone.letters[:SLOTS]):
                row[slot] = self._index.get(letter, 1)
            row[SLOTS] = phone.stress
        return ids


ALPHABETS = {"ipa-1": Alphabet("ipa-1", _IPA)}
"""Never change an alphabet once a model was published with it: add another."""
