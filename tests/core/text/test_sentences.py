import pytest

from core.errors import TextError
from core.text.sentences import LONGEST, split_sentences


def texts(text: str) -> list[str]:
    return [sentence.text for sentence in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met J. K. Rowling.", ["Dr. Smith met J. K. Rowling."]),
        ("It costs 3.50 now. Buy it.", ["It costs 3.50 now.", "Buy it."]),
        ("At 5 p.m. He left.", ["At 5 p.m.", "He left."]),
        ("Fruit, e.g. apples, is good.", ["Fruit, e.g. apples, is good."]),
        ('"Stop!" he said. "Why?"', ['"Stop!" he said.', '"Why?"']),
        ("Well... perhaps. Yes", ["Well... perhaps.", "Yes"]),
        ("The U.S. Army came.", ["The U.S. Army came."]),
        ("See No. 5. Then go.", ["See No. 5.", "Then go."]),
    ],
)
def test_where_sentences_end(text, sentences):
    assert texts(text) == sentences


def test_lines_end_sentences_and_blank_lines_are_ignored():
    assert texts("one\n\n  \ntwo\r\nthree") == ["one", "two", "three"]


def test_a_line_end_pauses_longer_than_a_sentence():
    first, second, third = split_sentences("One. Two.\nThree.")
    assert 0 < first.pause < second.pause
    assert third.pause >= first.pause


def test_what_cannot_be_spoken_is_left_out():
    assert texts("Hello.\n***\n...\nBye.") == ["Hello.", "Bye."]


@pytest.mark.parametrize("text", ["", "  \n ", "*** ... !?", "()[]"])
def test_nothing_to_say_is_an_error_with_a_hint(text):
    with pytest.raises(TextError) as caught:
        split_sentences(text)
    assert caught.value.message and caught.value.hint


def test_long_sentences_are_cut_and_nothing_is_lost():
    text = "This goes on and on, with clause after clause; it never ends and " * 160
    assert len(text) > 10_000
    pieces = texts(text)
    assert all(len(piece) <= LONGEST for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


def test_a_long_sentence_is_cut_at_its_clauses():
    pieces = texts("first part of it is here " * 6 + "; " + "second part of it is here " * 6)
    assert len(pieces) == 2 and pieces[0].endswith(";")


def test_one_endless_word_is_cut_too():
    assert max(map(len, texts("a" * 10_000))) <= LONGEST
