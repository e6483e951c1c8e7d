import pytest

from core.text import numbers
from core.text.normalise import normalise


def said(text: str) -> str:
    return " ".join(word for w in normalise(text) for word in w.spoken)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("42", "forty two"),
        ("1,234,567", "one million two hundred thirty four thousand five hundred sixty seven"),
        ("3.14", "three point one four"),
        ("in 1987", "in nineteen eighty seven"),
        ("in 1905 and 2005", "in nineteen oh five and two thousand five"),
        ("the 1990s", "the nineteen nineties"),
        ("the 21st", "the twenty first"),
        ("on May 5, 2024", "on may fifth twenty twenty four"),
        ("2024-05-12", "may twelfth twenty twenty four"),
        ("at 10:05 a.m.", "at ten oh five eh m"),
        ("at 7:00", "at seven o'clock"),
        ("$5.50", "five dollars and fifty cents"),
        ("$1", "one dollar"),
        ("$3 million", "three million dollars"),
        ("£20", "twenty pounds"),
        ("50%", "fifty percent"),
        ("-5°C", "minus five degrees celsius"),
        ("3 kg", "three kilograms"),
        ("1/2", "one half"),
        ("555-1234", "five five five one two three four"),
        ("5-10 men", "five to ten men"),
        ("Dr. Smith", "doctor smith"),
        ("e.g. this", "for example this"),
        ("No. 5", "number five"),
        ("john.doe@example.com", "john dot doe at example dot com"),
        ("www.example.org", "w w w dot example dot org"),
        ("the FBI and NASA", "the f b i and nasa"),
        ("Plan A is better than plan B.", "plan eh is better than plan b"),
        ("Ask for A, B and C.", "ask for eh b and c"),
        ("A B C", "a b c"),  # all of it in capitals: who knows
        ("A dog read A Tale of Two Cities.", "a dog read a tale of two cities"),
        ('He said: "A dog!"', "he said a dog"),
        ("HE SAID SO", "he said so"),
        ("salt & pepper", "salt and pepper"),
        ("well-known", "well known"),
        ("“don’t”", "don't"),
        ("hi 😀", "hi grinning face"),
        ("ﬁne", "fine"),
    ],
)
def test_written_forms_are_spoken_as_a_reader_would(written, spoken):
    assert said(written) == spoken


def test_every_word_keeps_its_written_form():
    words = normalise('Pay "$5.50" now!')
    assert [word.written for word in words] == ["Pay", '"$5.50"', "now!"]


def test_pauses_come_from_punctuation_and_brackets():
    assert [word.pause for word in normalise("One, two (three) four. Five")] == [",", ",", ",", ".", ""]


def test_what_cannot_be_spoken_is_left_out():
    assert normalise("*** --- ) (") == []
    assert said("one *** two") == "one two"


@pytest.mark.parametrize(
    "text",
    ["", "\x00\x07", "$", "5/0", "99:99", "0/0/0000", "1e400", "9" * 400, "@", "http://", "ᚠ", "½", "'", "\ud800"],
)
def test_no_text_breaks_it(text):
    for word in normalise(text):
        assert all(isinstance(spoken, str) and spoken for spoken in word.spoken)


def test_ordinals_and_large_numbers():
    assert numbers.ordinal(12) == ["twelfth"]
    assert numbers.ordinal(100) == ["one", "hundredth"]
    assert numbers.cardinal(10**21) == ["one"] + ["zero"] * 21
