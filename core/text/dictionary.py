"""A person's own pronunciations, one a line: `Nevada = nuh-VAD-uh` or `Nevada = /nəˈvædə/`; what follows # is ignored.

A respelling is read as plain words, hyphens between its syllables, the stressed one in capitals; between slashes or
brackets stands IPA. Entries are whole words in any case, and serve for "Nevada's" and "gifs" too; a phrase is said as
one word.
"""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from core.errors import TextError
from core.text.files import read_text
from core.text.normalise import clean
from core.text.phonemes import Phones, parse, phonemize
from core.text.symbols import ALPHABETS, Phone

_VOWELS = "aeiouyæøœɐɑɒɔɘəɚɛɜɝɞɤɨɪɯɵɶʉʊʌᵻ"
_MODIFIERS = "ːˑʰʱʲʷˠˤⁿˡʼ˞"
_PHONE = re.compile(
    rf"(?:aɪ[ɚə]|(?:[ɑɔo]ː|[ɛɪʊ])ɹ(?![{_VOWELS}])|[eaɔ]ɪ|[ao]ʊ|tʃ|dʒ|.)[{_MODIFIERS}\u0300-\u036f]*", re.DOTALL
)
_BRACKETS = {"/": "/", "[": "]"}
_IPA = set("".join(a.letters for a in ALPHABETS.values())) | set("ˈˌ_ ɝ")


class DictionaryError(TextError):
    """A line, counted from 1, that is no entry."""

    def __init__(self, line: int, name: str, message: str, hint: str):
        super().__init__(f"{name}, line {line}: {message}" if name else f"Line {line}: {message}", hint)
        self.line = line


def key_of(word: str) -> str:
    """A written word or phrase as entries name it: lower case, no punctuation around its words."""
    words = (part.strip("\"'()[]{}<>*_~|^,;:.!?—") for part in clean(word).split())
    return " ".join(part for part in words if part).casefold()


def read_dictionary(path: Path) -> tuple[tuple[str, str], ...]:
    """The entries of a UTF-8 text file. Raises TextError, naming it, or DictionaryError as `parse_dictionary` does."""
    return parse_dictionary(read_text(path), path.name)


def parse_dictionary(text: str, name: str = "") -> tuple[tuple[str, str], ...]:
    """(word as `key_of`, pronunciation) of each line. Raises DictionaryError for the first that cannot be read."""
    entries: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(re.split("\r\n?|\n", text), 1):
        line = re.split(r"(?:^|\s)#", line)[0].strip()
        if not line:
            continue
        try:
            word, pronunciation = _entry(line)
            if word in entries:
                raise TextError(f"“{word}” stands on line {entries[word][1]} already.", "Keep one of the two.")
        except TextError as error:
            raise DictionaryError(number, name, error.message, error.hint) from None
        entries[word] = pronunciation, number
    return tuple((word, pronunciation) for word, (pronunciation, _) in entries.items())


def _entry(line: str) -> tuple[str, str]:
    word, *rest = re.split(r"\s*=>?\s*|\s*\t\s*", line, maxsplit=1)
    if not rest:
        raise TextError(f"“{line[:40]}” has no “=”.", "Write: word = pronunciation.")
    if not key_of(word):
        raise TextError("there is no word before the “=”.", "Write: word = pronunciation.")
    (said,) = rest
    if not re.search(r"[^\W\d_ˈˌː]", said):
        raise TextError(f"“{word}” has no pronunciation.", "Write it after the “=”, such as nuh-VAD-uh.")
    if said[0] in _BRACKETS:
        if len(said) < 3 or said[-1] != _BRACKETS[said[0]]:
            raise TextError(f"“{said}” does not end with “{_BRACKETS[said[0]]}”.", "Close what was opened.")
        strange = sorted(set(_tidy(said[1:-1])) - _IPA)
        if strange:
            raise TextError(
                f"“{''.join(strange)}” is no letter of the IPA.", "Write it as plain words, without slashes."
            )
    else:
        strange = sorted({c for c in said if not (c.isalpha() or c in "-' ") or "ɐ" <= c <= "˩"})
        if strange:
            raise TextError(
                f"“{''.join(strange)}” cannot be read.", "Write plain letters (nuh-VAD-uh), or IPA between slashes."
            )
    return key_of(word), said


def _tidy(ipa: str) -> str:
    """IPA as people type it, in the letters the alphabets have: no tie bars, syllable dots or look-alikes."""
    ipa = unicodedata.normalize("NFD", ipa).replace("c\u0327", "ç")
    return ipa.translate(str.maketrans({"g": "ɡ", "'": "ˈ", "’": "ˈ", ",": "ˌ", ":": "ː", ".": "", "͡": "", "‿": ""}))


@lru_cache(maxsize=10000)
def pronounce(pronunciation: str, language: str) -> Phones:
    """The phones of an entry's right side. Raises TextError for an unknown language."""
    if pronunciation[0] in _BRACKETS:
        return _from_ipa(pronunciation[1:-1], language)
    phones: list[Phone] = []
    for word in pronunciation.split():
        parts = [part for part in word.split("-") if part]
        strong = [part.isupper() for part in parts]
        if not any(strong):
            strong[0] = True
        for part, stressed in zip(parts, strong, strict=True):
            said = phonemize([part], language)[0]
            phones += said if stressed else [Phone(p.letters.replace("ʌ", "ə")) for p in said]
    return tuple(phones)


def _from_ipa(ipa: str, language: str) -> Phones:
    """Phones of IPA with or without blanks between them. A mark of stress is passed on to the next vowel; without any,
    the first vowel has it."""
    ipa = _tidy(ipa)
    if language.startswith("en"):
        ipa = ipa.replace("r", "ɹ")
    stress = 0 if set("ˈˌ") & set(ipa) else 1
    phones: list[Phone] = []
    for found in (found for piece in re.split(r"[\s_]+", ipa) for found in _PHONE.findall(piece)):
        if found in ("ˈ", "ˌ"):
            stress = 1 if found == "ˈ" else 2
            continue
        for phone in parse(found):
            vowel = phone.letters[0] in _VOWELS
            phones.append(Phone(phone.letters, stress if vowel else 0))
            stress = 0 if vowel else stress
    return tuple(phones)


def look_up(word: str, entries: dict[str, str], language: str) -> Phones | None:
    """The phones of a word as `key_of`: its own, or in English its singular's and the ending. None without an entry."""
    if word in entries:
        return pronounce(entries[word], language)
    plain = word.replace("'", "")
    if not language.startswith("en") or not plain.endswith("s"):
        return None
    for stem in (plain[:-1], plain[:-2]):  # "gifs", "boxes"
        if stem in entries and (len(stem) > 2 or "'" in word) and (stem == plain[:-1] or plain.endswith("es")):
            phones = pronounce(entries[stem], language)
            last = phones[-1].letters[-1]
            if last in "szʃʒ":
                return (*phones, Phone("ᵻ"), Phone("z"))
            return (*phones, Phone("s" if last in "ptkfθ" else "z"))
    return None
