"""English numbers in words."""

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def digits(text: str) -> list[str]:
    """Each digit by itself; other characters are left out."""
    return [_ONES[int(c)] for c in text if c in "0123456789"]


def cardinal(number: int) -> list[str]:
    """1234 -> one thousand two hundred thirty four. Above 10^21: digit by digit."""
    if number < 0:
        return ["minus", *cardinal(-number)]
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    if number < 1000:
        return [_ONES[number // 100], "hundred", *(cardinal(number % 100) if number % 100 else [])]
    if number >= 10 ** (3 * len(_SCALES)):
        return digits(str(number))
    words: list[str] = []
    for power in range(len(_SCALES) - 1, -1, -1):
        part = number // 1000**power % 1000
        if part:
            words += [*cardinal(part), *([_SCALES[power]] if power else [])]
    return words


def ordinal(number: int) -> list[str]:
    """21 -> twenty first."""
    *head, last = cardinal(number)
    if last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = (last[:-1] + "ieth") if last.endswith("y") else last + "th"
    return [*head, last]


def year(number: int) -> list[str]:
    """1984 -> nineteen eighty four; 2005 -> two thousand five; 1905 -> nineteen oh five."""
    high, low = divmod(number, 100)
    if not 1000 <= number <= 2099 or (low < 10 and high % 10 == 0):
        return cardinal(number)
    if low == 0:
        return [*cardinal(high), "hundred"]
    return [*cardinal(high), *(["oh"] if low < 10 else []), *cardinal(low)]


def decimal(text: str) -> list[str]:
    """1,234.50 -> one thousand two hundred thirty four point five zero; ".5" -> zero point five."""
    whole, _, fraction = text.replace(",", "").partition(".")
    sign = ["minus"] if whole.startswith("-") else []
    whole = whole.lstrip("+-")
    words = sign + (
        digits(whole) if (len(whole) > 1 and whole[0] == "0") or len(whole) > 15 else cardinal(int(whole or "0"))
    )
    return words + (["point", *digits(fraction)] if fraction else [])


def plural(word: str) -> str:
    """Ninety -> nineties, twenty ten -> tens."""
    return word[:-1] + "ies" if word.endswith("y") else word + "es" if word.endswith("x") else word + "s"
