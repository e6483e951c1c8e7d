"""A person's own pronunciations: read leniently, refused with the line, heard in their words alone."""

import pytest

from core.errors import TextError
from core.text.dictionary import parse_dictionary, pronounce, read_dictionary
from core.text.script import write_script

FILE = """# What the reader gets wrong
Nevada = nuh-VAD-uh   # as they say it there

GIF	jif
 Notre  Dame => NOH-ter-DAHM
C# = see sharp
ельцин = [jelʲtsɨn]
box = /bʌks/
"""


def said(text, entries):
    """The phones of each written word, as one string."""
    script = write_script(text, pronunciations=dict(entries))
    return {
        word: "".join(str(s) for s, owner in zip(script.symbols, script.owners, strict=True) if owner == index)
        for index, word in enumerate(script.words)
    }


def test_a_file_is_read(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(FILE, encoding="utf-8-sig")
    assert read_dictionary(path) == (
        ("nevada", "nuh-VAD-uh"),
        ("gif", "jif"),
        ("notre dame", "NOH-ter-DAHM"),
        ("c#", "see sharp"),
        ("ельцин", "[jelʲtsɨn]"),
        ("box", "/bʌks/"),
    )
    assert parse_dictionary("") == parse_dictionary("# nothing\n\n") == ()


@pytest.mark.parametrize(
    "line, parts",
    [
        ("gif", ["“gif” has no “=”"]),
        ("= jif", ["no word"]),
        ("!? = jif", ["no word"]),
        ("gif =", ["“gif” has no pronunciation", "nuh-VAD-uh"]),
        ("gif = ...", ["“gif” has no pronunciation"]),
        ("gif = //", ["“gif” has no pronunciation"]),
        ("gif = /ˈ/", ["“gif” has no pronunciation"]),
        ("gif = /dʒɪf", ["does not end with “/”"]),
        ("gif = [dʒɪf/", ["does not end with “]”"]),
        ("gif = /dʒщf/", ["“щ” is no letter of the IPA"]),
        ("gif = dʒɪf", ["“ɪʒ” cannot be read", "between slashes"]),
        ("gif = jif2!", ["“!2” cannot be read"]),
        ("One = wun", ["“one” stands on line 1 already"]),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line, parts):
    with pytest.raises(TextError) as caught:
        parse_dictionary(f"one = two\n# and\n{line}\n", "mine.txt")
    assert "mine.txt, line 3: " in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "pronunciation, phones",
    [
        ("nuh-VAD-uh", "n ə v ˈæ d ə"),
        ("NUH-vad-uh", "n ˈʌ v æ d ə"),
        ("jif", "dʒ ˈɪ f"),
        ("see sharp", "s ˈiː ʃ ˈɑːɹ p"),
        ("/nəˈvædə/", "n ə v ˈæ d ə"),
        ("/n_ə_v_ˈæ_d_ə/", "n ə v ˈæ d ə"),
        ("[dʒɪf]", "dʒ ˈɪ f"),
        ("/'ve.ri/", "v ˈe ɹ i"),
        ("/t͡ʃaɪ/", "tʃ ˈaɪ"),
        ("/ˌstɑːrˈgeɪz/", "s t ˌɑːɹ ɡ ˈeɪ z"),
    ],
)
def test_respellings_and_ipa_become_phones(pronunciation, phones):
    parse_dictionary(f"word = {pronunciation}")
    assert " ".join(map(str, pronounce(pronunciation, "en"))) == phones


def test_only_the_words_of_the_entries_change():
    text = "The GIFs of Nevada's boxes, Nevada-based, in Notre Dame: a gif’s category, and its Notre, Dame"
    entries = parse_dictionary(FILE + "cat = dog\nit = that")
    before, after = said(text, {}), said(text, entries)
    changed = {word: phones for word, phones in after.items() if phones != before[word]}
    assert changed == {
        "GIFs": "dʒˈɪfs",
        "Nevada's": "nəvˈædəz",
        "boxes,": "bˈʌksᵻz",
        "Nevada-based,": "nəvˈædəbˈeɪst",
        "Notre": "nˈoʊtɜːdˈɑːm",
        "Dame:": "",
        "gif's": "dʒˈɪfs",
    }


def test_an_entry_goes_before_the_rules_for_numbers_and_capitals():
    entries = parse_dictionary("SQL = sequel\n3M = three em\nDr = driver\nC# = see sharp")
    after = said("SQL by 3M, says Dr. Who. (C#?) Vitamin C", entries)
    assert after["(C#?)"] == "sˈiːʃˈɑːɹp" and after["C"] == "sˈiː"
    assert after["SQL"] == "sˈiːkwəl" and after["3M,"].startswith("θɹˈiː") and after["Dr."].startswith("dɹˈaɪv")
