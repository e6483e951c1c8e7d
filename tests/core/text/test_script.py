import subprocess
import sys
import time

import pytest

from core.errors import TextError
from core.text.phonemes import parse, phonemize
from core.text.script import write_script
from core.text.symbols import ALPHABETS, BOUNDARY, END, MARKS, START, Phone


def letters(script, index):
    return "".join(s.letters for s, owner in zip(script.symbols, script.owners, strict=True) if owner == index)


def test_words_that_espeak_joins_get_their_own_phones():
    words = ["the", "king", "of", "the", "hill", "in", "the", "end", "for", "a", "while"]
    phones = phonemize(words)
    assert len(phones) == len(words) and all(phones)
    said = {word: "".join(p.letters for p in group) for word, group in zip(words, phones, strict=True)}
    assert said["of"] == "ʌv" and said["king"] == "kɪŋ" and said["hill"] == "hɪl"


def test_every_written_word_owns_its_phones():
    script = write_script("He paid $5, of course.")
    assert script.words == ("He", "paid", "$5,", "of", "course.")
    assert letters(script, 1) == "peɪd"
    assert letters(script, 2).startswith("faɪv") and letters(script, 2).endswith("z")
    assert all(letters(script, k) for k in range(5))


def test_edges_boundaries_and_pauses():
    script = write_script("One, two three!")
    marks = [s.letters for s in script.symbols if s.letters in MARKS]
    assert marks == [START, ",", BOUNDARY, END]


def test_a_user_pronunciation_is_used():
    plain, own = write_script("say gif now"), write_script("say gif now", pronunciations={"gif": "/dʒ ˈɪ f/"})
    assert letters(own, 1) == "dʒɪf" != letters(plain, 1)
    assert letters(own, 0) == letters(plain, 0)
    assert parse("dʒ_ˈɪ_f")[1] == Phone("ɪ", 1)


def test_the_last_of_spelled_letters_has_the_main_stress():
    def stresses(text, word):
        script = write_script(text)
        return [s.stress for s, o in zip(script.symbols, script.owners, strict=True) if o == word and s.stress]

    assert stresses("the USA and us", 1) == [2, 2, 1]
    assert stresses("at 5 a.m. sharp", 2) == [2, 1]
    assert stresses("Ask for room B 12.", 3) == [1]
    assert stresses("I see a bee.", 0) == [1]


def test_spelled_letters_are_named_not_read_as_words():
    assert letters(write_script("the USA and us"), 1) == "juːɛseɪ"


@pytest.mark.parametrize("text", ["", "...", "!? ()"])
def test_nothing_to_speak_is_an_error(text):
    with pytest.raises(TextError):
        write_script(text)


def test_an_unknown_language_is_an_error():
    with pytest.raises(TextError):
        phonemize(["hello"], "no-such-language")
    assert phonemize(["hello"], "en")[0]  # and the next call works


def test_russian_and_english_share_one_alphabet():
    alphabet = ALPHABETS["ipa-1"]
    for language, words in (("ru", ["привет", "люди"]), ("en", ["strength", "button", "hour"])):
        ids = alphabet.encode([p for word in phonemize(words, language) for p in word])
        assert (ids[:, 0] > 1).all(), "a letter is missing from the alphabet"
        assert ids.max() < alphabet.size


def test_the_first_transcription_is_quick_and_light():
    code = "import time, sys; t = time.perf_counter()\n"
    code += "from core.text.script import write_script\nwrite_script('Hello there.')\n"
    code += "assert not {'torch', 'phonemizer', 'librosa'} & set(sys.modules)\nprint(time.perf_counter() - t)"
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.5, f"{done.stdout} s of {time.perf_counter() - begun:.1f} s"
