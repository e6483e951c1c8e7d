"""A sentence as a synthesizer reads it: symbols in order, each tied to the written word it belongs to."""

from dataclasses import dataclass

import numpy as np

from core.errors import TextError
from core.text.normalise import normalise
from core.text.phonemes import Phones, parse, phonemize
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

    pronunciations: a user's own, word (lower case) -> phones in IPA separated by "_" or blanks, "h_ə_l_ˈoʊ". Raises
    TextError when nothing in the sentence can be spoken.
    """
    written = normalise(sentence, language)
    own = {word.lower(): parse("_".join(ipa.split())) for word, ipa in (pronunciations or {}).items()}
    symbols, owners = [Phone(START)], [-1]
    clause: list[tuple[int, str]] = []

    def flush(mark: str) -> None:
        phones = _phones_of([word for _, word in clause], language, own)
        for (owner, _), said in zip(clause, phones, strict=True):
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


def _phones_of(words: list[str], language: str, own: dict[str, Phones]) -> list[Phones]:
    """The phones of one clause's words, the user's own pronunciations first."""
    phones = phonemize(words, language)
    return [own.get(word, said) for word, said in zip(words, phones, strict=True)]
