"""A sentence as a synthesizer reads it: symbols in order, each tied to the written word it belongs to."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from core.errors import TextError
from core.text.dictionary import key_of, look_up
from core.text.normalise import LETTERS, Word, normalise
from core.text.phonemes import Phones, phonemize
from core.text.symbols import ALPHABETS, BOUNDARY, END, LONG_PAUSE, SHORT_PAUSE, START, Phone

_PAUSES = {",": SHORT_PAUSE, ".": LONG_PAUSE}


@dataclass(frozen=True)
class Script:
    """symbols: phones and marks. owners: index into `words` of each symbol, -1 for marks. words: as written."""

    symbols: tuple[Phone, ...]
    owners: tuple[int, ...]
    words: tuple[str, ...]

    def ids(self, alphabet: str) -> np.ndarray:
        """int16 (n_symbols, 4), numbered by the named alphabet."""
        return ALPHABETS[alphabet].encode(self.symbols)


def write_script(sentence: str, language: str = "en", pronunciations: dict[str, str] | None = None) -> Script:
    """The script of one sentence.

    pronunciations: a user's own, as `core.text.dictionary` reads them: word -> respelling, or IPA between slashes.
    Raises TextError when nothing in the sentence can be spoken.
    """
    written = normalise(sentence, language)
    entries = pronunciations or {}
    given = _given(written, entries, language)
    symbols, owners = [Phone(START)], [-1]
    clause: list[tuple[int, str]] = []

    def flush(mark: str) -> None:
        phones = _spelt(clause, phonemize([word for _, word in clause], language))
        for (owner, word), said in zip(clause, phones, strict=True):
            if owner in given:  # all of it at the first of the words that would be said
                said, given[owner] = given[owner], ()
            elif entries:
                said = look_up(word, entries, language) or said
            if not said:
                continue
            if symbols[-1].letters not in (BOUNDARY, SHORT_PAUSE, LONG_PAUSE, START):
                symbols.append(Phone(BOUNDARY))
                owners.append(-1)
            symbols.extend(said)
            owners.extend([owner] * len(said))
        clause.clear()
        if mark and symbols[-1].letters not in (BOUNDARY, SHORT_PAUSE, LONG_PAUSE, START):
            symbols.append(Phone(mark))
            owners.append(-1)

    for index, word in enumerate(written):
        clause += [(index, spoken) for spoken in word.spoken]
        if word.pause:
            flush(_PAUSES[word.pause])
    flush("")
    while symbols[-1].letters in (BOUNDARY, SHORT_PAUSE, LONG_PAUSE):  # the sentence's own end follows instead
        symbols.pop()
        owners.pop()
    if len(symbols) == 1:
        raise TextError(f"Nothing in {sentence.strip()[:40]!r} can be spoken.", "Write it in words.")
    symbols.append(Phone(END))
    owners.append(-1)
    return Script(tuple(symbols), tuple(owners), tuple(word.written for word in written))


def _spelt(clause: list[tuple[int, str]], phones: list[Phones]) -> list[Phones]:
    """The same phones, but of letters that spell one word the last alone has the main stress, as in "a.m." or "USA"."""
    phones = list(phones)
    for k, ((owner, word), (next_owner, following)) in enumerate(pairwise(clause)):
        if owner == next_owner and word in LETTERS and following in LETTERS:
            phones[k] = tuple(replace(phone, stress=2 if phone.stress else 0) for phone in phones[k])
    return phones


def _given(written: list[Word], entries: dict[str, str], language: str) -> dict[int, Phones]:
    """Index of a written word -> its phones by the user's entries. A phrase's first word has all, the others none."""
    keys = [key_of(word.written) for word in written] if entries else []
    longest = max((entry.count(" ") + 1 for entry in entries), default=0)
    given: dict[int, Phones] = {}
    for start in range(len(keys)):
        for stop in range(min(start + longest, len(keys)), start, -1):
            if start in given or any(word.pause for word in written[start : stop - 1]):
                continue
            phones = look_up(" ".join(keys[start:stop]), entries, language)
            if phones:
                given |= dict.fromkeys(range(start, stop), ())
                given[start] = phones
    return given
