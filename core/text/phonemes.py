"""Words to phones, by espeak-ng's library, called directly: 40 ms to load, 0.1 ms a sentence.

espeak-ng reads a whole clause (so "the" and "a" are weak where they should be) and joins some words ("of the" becomes
one group). Everything here is about giving each written word its own phones back.
"""

import ctypes
import threading
from collections.abc import Sequence
from functools import lru_cache

from core.errors import TextError
from core.text.symbols import Phone

VOICES = {"en": "en-us", "en-us": "en-us", "en-gb": "en-gb", "ru": "ru"}
_IPA_WITH_SEPARATOR = 0x02 | (ord("_") << 8)
_RETRIEVAL, _DONT_EXIT, _UTF8 = 1, 0x8000, 1
_lock = threading.Lock()  # the library keeps one global state
_state: dict = {"library": None, "voice": None}

Phones = tuple[Phone, ...]


def _library() -> ctypes.CDLL:
    """espeak-ng, initialised. Raises TextError where it cannot be loaded."""
    if _state["library"] is None:
        try:
            import espeakng_loader

            library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path()
        except (ImportError, OSError, RuntimeError) as error:
            raise TextError(
                f"The pronunciation library espeak-ng cannot be loaded ({error}).",
                "Install it: pip install espeakng-loader.",
            ) from error
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        if library.espeak_Initialize(_RETRIEVAL, 0, str(data).encode(), _DONT_EXIT) < 0:
            raise TextError("The pronunciation library espeak-ng does not start.", "Reinstall espeakng-loader.")
        _state["library"] = library
    return _state["library"]


def _transcribe(text: str, language: str) -> str:
    """espeak-ng's own notation: phones apart by "_", groups by " "."""
    voice = VOICES.get(language, language)
    with _lock:
        library = _library()
        if _state["voice"] != voice:
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise TextError(f"No pronunciation is known for the language {language!r}.", "Choose another language.")
            _state["voice"] = voice
        pointer, clauses = ctypes.c_char_p(text.encode()), []
        while pointer.value is not None:
            clauses.append(library.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, _IPA_WITH_SEPARATOR).decode())
    return " ".join(clauses)


def parse(notation: str) -> Phones:
    """Phones of one group written as "h_ə_l_ˈoʊ"."""
    phones = []
    for piece in notation.split("_"):
        stress = 1 if "ˈ" in piece else 2 if "ˌ" in piece else 0
        # Language switches "(en)" and the odd punctuation of the notation are no phones.
        letters = "".join(c for c in piece.replace("ɝ", "ɜː") if c not in "ˈˌ()'-;\"!?" and not c.isspace())
        if letters:
            phones.append(Phone(letters, stress))
    return tuple(phones)


def _groups(text: str, language: str) -> list[Phones]:
    notation = _transcribe(text, language)
    return [phones for phones in map(parse, _without_switches(notation).split()) if phones]


def _without_switches(notation: str) -> str:
    """Drops espeak-ng's "(en)word(ru)" flags."""
    while "(" in notation and ")" in notation[notation.index("(") :]:
        start = notation.index("(")
        notation = notation[:start] + " " * 0 + notation[notation.index(")", start) + 1 :]
    return notation


@lru_cache(maxsize=20000)
def _alone(word: str, language: str) -> Phones:
    """How a word is said by itself."""
    return tuple(phone for group in _groups(word, language) for phone in group)


def _edit_cuts(group: Phones, alone: Sequence[Phones]) -> tuple[float, list[int]]:
    """The cheapest way to cut a group into one piece per word: (cost, ends of the pieces).

    Edit distance between the group and the words' own phones, letters only; every word gets at least one phone.
    """
    flat = [(phone.letters, w) for w, phones in enumerate(alone) for phone in phones]
    n, m = len(group), len(flat)
    cost = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in range(n + 1):
        for j in range(m + 1):
            if i or j:
                options = []
                if i and j:
                    options.append(cost[i - 1][j - 1] + (0 if group[i - 1].letters == flat[j - 1][0] else 1))
                if i:
                    options.append(cost[i - 1][j] + 1)
                if j:
                    options.append(cost[i][j - 1] + 1)
                cost[i][j] = min(options)
    owner, i, j = [0] * n, n, m  # which word each phone of the group belongs to
    while i:
        if j and cost[i][j] == cost[i - 1][j - 1] + (0 if group[i - 1].letters == flat[j - 1][0] else 1):
            owner[i - 1] = flat[j - 1][1]
            i, j = i - 1, j - 1
        elif j and cost[i][j] == cost[i][j - 1] + 1:
            j -= 1
        else:
            owner[i - 1] = flat[max(j - 1, 0)][1] if flat else 0
            i -= 1
    ends = [max((k + 1 for k in range(n) if owner[k] <= w), default=0) for w in range(len(alone))]
    ends[-1] = n
    for w in range(len(ends)):  # at least one phone each, where there are enough
        ends[w] = min(max(ends[w], (ends[w - 1] if w else 0) + 1), n - (len(ends) - 1 - w))
    return cost[n][m], ends


def _share(groups: list[Phones], words: Sequence[str], language: str) -> list[Phones] | None:
    """The groups' phones handed out to the words, or None where that cannot be done."""
    if len(groups) == len(words):
        return groups
    if len(groups) > len(words):
        return None
    alone = [_alone(word, language) for word in words]
    G, W = len(groups), len(words)
    best: dict[tuple[int, int], tuple[float, int, list[int]]] = {(0, 0): (0.0, 0, [])}
    for g in range(G):
        for w in range(g, W - (G - g) + 1):
            if (g, w) not in best:
                continue
            for k in range(1, min(4, W - w, len(groups[g])) + 1):
                cost, ends = _edit_cuts(groups[g], alone[w : w + k])
                total = best[g, w][0] + cost
                if (g + 1, w + k) not in best or total < best[g + 1, w + k][0]:
                    best[g + 1, w + k] = (total, k, ends)
    if (G, W) not in best:
        return None
    shared: list[Phones] = []
    w = W
    for g in range(G, 0, -1):
        _, k, ends = best[g, w]
        starts = [0, *ends[:-1]]
        shared[:0] = [groups[g - 1][a:b] for a, b in zip(starts, ends, strict=True)]
        w -= k
    return shared


def phonemize(words: Sequence[str], language: str = "en") -> list[Phones]:
    """The phones of each word of one clause, in context. words: spoken forms (letters and apostrophes; no digits).

    A word that cannot be spoken gets no phones. Raises TextError for an unknown language.
    """
    words = [word.lower() for word in words]
    if not words:
        return []
    groups = _groups(" ".join(words), language)
    shared = _share(groups, words, language)
    return shared if shared is not None else [_alone(word, language) for word in words]
