"""Written text to speakable words: numbers, dates, money, units, abbreviations, addresses, capitals, quotes, emoji.

English so far; other languages get the parts that need no grammar (punctuation, quotes) and digits read in English
until someone adds theirs. Every spoken word stays tied to the written one it came from, so that word times can be
shown over the text as typed.
"""

import re
import unicodedata
from dataclasses import dataclass

from core.text import numbers
from core.text.symbols import LONG_PAUSE, SHORT_PAUSE

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH_SHORT = {m[:3]: m for m in MONTHS} | {"sept": "september"}
ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "rev": "reverend",
    "gen": "general", "col": "colonel", "capt": "captain", "lt": "lieutenant", "sgt": "sergeant",
    "hon": "honorable", "st": "saint", "jr": "junior", "sr": "senior", "mt": "mount", "ft": "fort", "vs": "versus",
    "etc": "et cetera", "e.g": "for example", "i.e": "that is", "approx": "approximately", "dept": "department",
    "inc": "incorporated", "ltd": "limited", "co": "company", "corp": "corporation", "ave": "avenue",
    "blvd": "boulevard", "rd": "road", "fig": "figure", "vol": "volume", "p": "page", "pp": "pages",
    "cf": "compare", "a.m": "eh m", "p.m": "p m", "u.s": "u s", "u.k": "u k", "u.s.a": "u s eh", "ph.d": "p h d",
}  # fmt: skip
"""Said in full when a full stop follows; "no" is added before a digit."""
_UNITS = {
    "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "g": "grams",
    "mg": "milligrams", "l": "liters", "ml": "milliliters", "mph": "miles per hour", "km/h": "kilometers per hour",
    "lb": "pounds", "lbs": "pounds", "oz": "ounces", "ft": "feet", "in": "inches", "hz": "hertz",
    "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "kb": "kilobytes", "mb": "megabytes",
    "gb": "gigabytes", "tb": "terabytes", "ms": "milliseconds", "min": "minutes", "hrs": "hours", "h": "hours",
    "kw": "kilowatts", "w": "watts", "v": "volts", "°c": "degrees celsius", "°f": "degrees fahrenheit",
    "°": "degrees", "%": "percent", "db": "decibels", "s": "seconds",
}  # fmt: skip
_MONEY = {
    "$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "pence"), "¥": ("yen", ""),
    "₽": ("ruble", "kopeck"), "₹": ("rupee", "paisa"),
}  # fmt: skip
_SCALES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion", "t": "trillion"}
_SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "°": "degrees", "×": "times",
    "÷": "divided by", "±": "plus or minus", "<": "less than", ">": "greater than", "#": "number", "§": "section",
    "©": "copyright", "€": "euros", "$": "dollars", "£": "pounds", "½": "one half", "¼": "one quarter",
    "¾": "three quarters", "√": "square root of", "№": "number",
}  # fmt: skip
_SPELLED = frozenset(
    [
        "usa",
        "uk",
        "us",
        "un",
        "eu",
        "bbc",
        "fbi",
        "cia",
        "ceo",
        "cto",
        "cfo",
        "ai",
        "tv",
        "pc",
        "dvd",
        "cd",
        "ok",
        "dna",
        "rna",
        "gps",
        "atm",
        "faq",
        "diy",
        "phd",
        "mri",
        "nba",
        "nfl",
        "nhl",
        "ibm",
        "cpu",
        "gpu",
        "usb",
        "url",
        "id",
        "ip",
        "it",
        "hr",
        "pr",
        "nyc",
        "uae",
    ]
)
_FRACTIONS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 8: "eighth", 10: "tenth"}
_OPENING, _CLOSING = "([{«“\"'‘<", ")]}»”\"'’>"


@dataclass(frozen=True)
class Word:
    """One written word. spoken: what is said, lower-case words (may be empty). pause: "", "," or "." after it."""

    written: str
    spoken: tuple[str, ...]
    pause: str = ""


def clean(text: str) -> str:
    """Compatibility forms undone (ligatures, full-width), quotes and dashes of one kind, control characters gone."""
    text = re.sub("[½¼¾№]", lambda m: f" {_SIGNS[m.group()]} ", text)
    text = unicodedata.normalize("NFKC", text)
    text = re.sub("[‘’ʼ`´]", "'", text)
    text = re.sub("[“”„«»]", '"', text)
    text = re.sub(r"\s*(?:[—―]|--+|\s[–-]\s)\s*", " — ", text)
    text = text.replace("–", "-").replace("…", "...")
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs", "Cn") else " " for c in text)


def _letters(text: str) -> list[str]:
    """Speakable words in a stretch of letters, digits, and signs: the last resort."""
    words = []
    for part in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*'?|\d+|.", text):
        if part.isdigit():
            words += numbers.decimal(part) if part.isascii() else []
        elif part[0].isalpha():
            words.append(part.lower().rstrip("'") if not part.lower().endswith("s'") else part.lower())
        elif part in _SIGNS:
            words += _SIGNS[part].split()
        elif unicodedata.category(part) == "So":
            name = unicodedata.name(part, "").lower()
            words += re.findall(r"[a-z]+", name.replace("emoji modifier", ""))
    return words


def _spell(letters: str) -> list[str]:
    """Letters by their names. A lone "a" would be read as the article."""
    return ["eh" if c == "a" else c for c in letters.lower() if c.isalpha()]


LETTERS = frozenset(_spell("abcdefghijklmnopqrstuvwxyz"))
"""Words that stand for a letter."""


def _address(text: str) -> list[str]:
    """An e-mail or web address, as one dictates it."""
    words = []
    for part in re.findall(r"[a-zA-Z]+|\d+|.", re.sub(r"^https?://", "", text).rstrip("/")):
        if part == "www":
            words += ["w", "w", "w"]
        elif part.isalpha():
            words += (
                _spell(part)
                if len(part) <= 2 and part.lower() not in ("me", "my", "to", "go", "of")
                else [part.lower()]
            )
        elif part.isdigit():
            words += numbers.digits(part) if len(part) > 2 else numbers.cardinal(int(part))
        else:
            words += {
                ".": ["dot"],
                "@": ["at"],
                "/": ["slash"],
                "-": ["dash"],
                "_": ["underscore"],
                ":": ["colon"],
            }.get(part, [])
    return words


def _money(sign: str, amount: str, scale: str) -> list[str]:
    unit, small = _MONEY[sign]
    amount = amount.replace(",", "")
    if scale:
        return [*numbers.decimal(amount), scale, unit + "s"]
    whole, _, cents = amount.partition(".")
    if len(cents) not in (0, 2) or (cents and not small):
        return [*numbers.decimal(amount), unit + "s"]
    words = [*numbers.cardinal(int(whole)), unit + ("" if int(whole) == 1 or unit == "yen" else "s")]
    if cents and int(cents):
        name = small if int(cents) == 1 or small in ("pence", "paisa") else small + "s"
        words = ([*words, "and"] if int(whole) else []) + [*numbers.cardinal(int(cents)), name]
    return words


def _number(text: str) -> list[str] | None:
    """Words for a token that is a number of some kind, or None."""
    low = text.lower()
    if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?([ap]\.?m\.?)?", low):
        hour, minute, *rest = re.findall(r"\d+", low)
        words = numbers.cardinal(int(hour)) + (["oh"] if 0 < int(minute) < 10 else [])
        words += numbers.cardinal(int(minute)) if int(minute) else ([] if low[-1].isalpha() else ["o'clock"])
        words += ["and", *numbers.cardinal(int(rest[0])), "seconds"] if rest else []
        half = re.search(r"[ap](?=\.?m)", low)
        return words + (_spell(half.group() + "m") if half else [])
    if match := re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)", low):
        y, m, d = map(int, match.groups())
        return [MONTHS[m - 1], *numbers.ordinal(d), *numbers.year(y)] if 1 <= m <= 12 and 1 <= d <= 31 else None
    if match := re.fullmatch(r"(\d\d?)([/.])(\d\d?)\2(\d{4}|\d\d)", low):
        a, b, y = int(match[1]), int(match[3]), int(match[4])
        month, day = (b, a) if match[2] == "." or a > 12 else (a, b)  # 12.5.2024 is written day first
        if 1 <= month <= 12 and 1 <= day <= 31:
            return [MONTHS[month - 1], *numbers.ordinal(day), *(numbers.year(y) if y > 99 else numbers.cardinal(y))]
        return None
    if match := re.fullmatch(r"(\d[\d,]*)(st|nd|rd|th)", low):
        return numbers.ordinal(int(match[1].replace(",", "")))
    if match := re.fullmatch(r"'?(\d{2}|\d{4})'?s", low):
        *head, last = numbers.year(int(match[1])) if len(match[1]) == 4 else numbers.cardinal(int(match[1]))
        return [*head, numbers.plural(last)]
    if match := re.fullmatch(r"([$€£¥₽₹])(\d[\d,]*(?:\.\d+)?)(k|m|bn|b|t)?", low):
        return _money(match[1], match[2], _SCALES.get(match[3] or "", ""))
    if match := re.fullmatch(r"(\d[\d,]*(?:\.\d+)?)([€£¥₽])", low):
        return _money(match[2], match[1], "")
    if match := re.fullmatch(r"(\d\d?)/(\d\d?)", low):
        top, bottom = int(match[1]), int(match[2])
        if 0 < top < bottom and bottom in _FRACTIONS:
            name = _FRACTIONS[bottom]
            return [*numbers.cardinal(top), name if top == 1 else "halves" if bottom == 2 else name + "s"]
        return [*numbers.cardinal(top), "over" if bottom else "slash", *numbers.cardinal(bottom)]
    if re.fullmatch(r"\+?\d[\d-]*-\d{3,}(-\d+)*", low) and len(re.sub(r"\D", "", low)) >= 7:
        return numbers.digits(low)
    if match := re.fullmatch(r"(\d[\d,]*(?:\.\d+)?)-(\d[\d,]*(?:\.\d+)?)(%?)", low):
        return [*(_number(match[1]) or []), "to", *(_number(match[2]) or []), *(["percent"] if match[3] else [])]
    if match := re.fullmatch(r"([-+−])?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+)([a-z°%/]*)", low):
        sign, value, unit = match.groups()
        if unit and unit not in _UNITS:
            return None
        words = ["plus" if sign == "+" else "minus"] if sign else []
        if not unit and re.fullmatch(r"1[1-9]\d\d|20\d\d", value):
            return words + numbers.year(int(value))
        if unit and value == "1" and unit not in ("%", "hz", "khz", "mhz", "ghz"):
            return [
                *words,
                "one",
                *_UNITS[unit]
                .replace("feet", "foot")
                .replace("inches", "inch")
                .replace("degrees", "degree")
                .rstrip("s")
                .split(),
            ]
        return words + numbers.decimal(value) + (_UNITS[unit].split() if unit else [])
    return None


def _spoken(core: str, mixed_case: bool, stop: bool, before: str, after: str) -> list[str]:
    """What is said for one token without outer punctuation. stop: a full stop follows. before, after: neighbours."""
    low = core.lower()
    if re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", core) or re.fullmatch(r"(https?://|www\.)\S+", low):
        return _address(core)
    if re.fullmatch(r"[\w-]+(\.[\w-]+)*\.(com|org|net|edu|gov|io|de|ru|uk)(/\S*)?", low):
        return _address(core)
    if (
        (stop or "." in low)
        and low.rstrip(".") in ABBREVIATIONS
        and not (low == "no" or (before[:1].isdigit() and low in ("ft", "in", "m")))
    ):
        if low == "st" and before[:1].isupper() and not after[:1].isupper():
            return ["street"]
        if (low != "p" and low != "pp") or after[:1].isdigit():
            return ABBREVIATIONS[low.rstrip(".")].split()
    if low in ("no", "nos") and stop and after[:1].isdigit():
        return ["number" if low == "no" else "numbers"]
    if low.rstrip(".") in _MONTH_SHORT and (stop or after[:1].isdigit()) and core[:1].isupper() and low != "may":
        return [_MONTH_SHORT[low.rstrip(".")]]
    month = before.lower().rstrip(".")
    if (
        re.fullmatch(r"\d\d?", core)
        and (month in MONTHS or month in _MONTH_SHORT)
        and 1 <= int(core) <= 31
        and (month != "may" or before[0] == "M")
    ):
        return numbers.ordinal(int(core))
    if core in _UNITS and re.fullmatch(r"[\d,.]*\d", before):
        unit = _UNITS[core]
        if core not in ("in", "m", "s", "h", "min") or len(core) > 2 or not after[:1].islower() or core == "m":
            return (
                re.sub("feet", "foot", re.sub("inches", "inch", unit)).rstrip("s") if before == "1" else unit
            ).split()
    if any(c.isdigit() for c in core):
        words = _number(core)
        if words is not None:
            return words
        if match := re.fullmatch(r"([A-Za-z]+)-?(\d+)", core):
            name = _spell(match[1]) if match[1].isupper() and len(match[1]) < 4 else [match[1].lower()]
            return name + numbers.decimal(match[2])
    if re.fullmatch(r"([A-Za-z]\.)+[A-Za-z]?", core):
        return _spell(low)
    if core.isalpha() and core.isupper() and len(core) > 1 and core.isascii():
        if mixed_case and (low in _SPELLED or (len(core) <= 5 and not re.search("[AEIOUY]", core))):
            return _spell(low)
        if (
            not mixed_case
            and not re.search("[AEIOUY]", core)
            and len(core) <= 5
            and low not in ABBREVIATIONS
            and low != "hmm"
        ):
            return _spell(low)
        if not mixed_case and low in ("mr", "mrs", "dr"):
            return ABBREVIATIONS[low].split()
    if low in ("mr", "mrs", "dr", "vs"):
        return ABBREVIATIONS[low].split()
    return _letters(core)


def _names_a(tail: str, before: str, after: str) -> bool:
    """Whether a capital A is the letter, as in "vitamin A" or "A, B and C", and not an article in a title."""
    alone = re.fullmatch(r"[B-HJ-Z]\W*", after)
    return bool(tail or alone) or (before[-1:].isalnum() and not after[:1].isupper())


def normalise(text: str, language: str = "en") -> list[Word]:
    """The words of a text, in order, with what is said for each and the pause after it.

    Words of which nothing is said (a lone bracket, "***") only pass their pause on. Never raises.
    """
    tokens = clean(text).split()
    letters = [c for c in text if c.isalpha()]
    mixed_case = any(c.islower() for c in letters)
    words: list[Word] = []

    def pause_after_last(pause: str) -> None:
        if words and pause and words[-1].pause != LONG_PAUSE:
            words[-1] = Word(words[-1].written, words[-1].spoken, pause)

    skip = False
    for i, token in enumerate(tokens):
        if skip:
            skip = False
            continue
        head = re.match(r"[\"'(\[{<*_~|^]*", token).group()
        rest = token[len(head) :]
        tail = re.search(r"[\"')\]}>*_~|^,;:.!?]*$", rest).group()
        core = rest[: len(rest) - len(tail)]
        if re.fullmatch(r"s?'", tail[:1]) and core[-1:].lower() == "s":
            core, tail = core + "'", tail[1:]
        if head == "'" and re.fullmatch(r"\d\ds", core):
            head = ""
        if "(" in head or "[" in head or token == "—":
            pause_after_last(SHORT_PAUSE)
        before = re.sub(r"\W+$", "", tokens[i - 1]) if i else ""
        after = tokens[i + 1].lstrip("\"'([") if i + 1 < len(tokens) else ""
        spoken = _spoken(core, mixed_case, tail.startswith("."), before, after) if core else []
        if core == "A" and mixed_case and not head and _names_a(tail, tokens[i - 1] if i else "", after):
            spoken = _spell(core)
        if (
            core
            and core[0] in _MONEY
            and not tail
            and re.fullmatch(r"(thousand|million|billion|trillion)\W*", after.lower())
        ):
            scale = re.sub(r"\W", "", after.lower())
            spoken = _money(core[0], core[1:], scale) if re.fullmatch(r"\d[\d,]*(\.\d+)?", core[1:]) else spoken
            tail, skip = after[len(scale) :], True
            token = f"{token} {after}"
        abbreviation = tail == "." and core.lower() in ABBREVIATIONS and after != ""
        pause = ""
        if re.search(r"[.!?]", tail) and not abbreviation:
            pause = LONG_PAUSE
        elif re.search(r"[,;:)\]]", tail):
            pause = SHORT_PAUSE
        if spoken:
            words.append(Word(token, tuple(spoken), pause))
        else:
            pause_after_last(pause)
    return words
