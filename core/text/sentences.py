"""Text to sentences that are spoken one by one."""

import re
from dataclasses import dataclass

from core.errors import TextError
from core.text.normalise import ABBREVIATIONS, normalise

LONGEST = 260
"""Characters of one sentence, about 18 s; longer ones are cut after a clause, else between words."""
SENTENCE_PAUSE, LINE_PAUSE, CLAUSE_PAUSE, CUT_PAUSE = 0.35, 0.6, 0.15, 0.0

# A stop, what may close after it, and then a blank; whether it ends a sentence depends on what is around it.
_STOP = re.compile(r"[.!?…]+[\"'”’)\]»]*(?=\s)")
_CLAUSES = (re.compile(r"[;:]\s"), re.compile(r"(?:,|\s[—–-]+|\))\s"), re.compile(r"\s"))


@dataclass(frozen=True)
class Sentence:
    """text: as written. pause: seconds of silence after it."""

    text: str
    pause: float


def _ends_sentence(before: str, after: str) -> bool:
    """Whether the stop at the end of `before` ends a sentence that `after` does not belong to."""
    if not before.rstrip("\"'”’)]»").endswith("."):
        return not re.match(r"[a-z]", after.lstrip("\"'“‘([«"))  # "Stop!" he said
    following = after.lstrip("\"'“‘([«")
    word = re.search(r"(\S+?)\.+[\"'”’)\]»]*$", before)
    last = word.group(1).lstrip("\"'“‘([«") if word else ""
    low = last.lower()
    if before.endswith("..."):
        return not following[:1].islower()
    if following[:1].islower():
        return False
    if re.fullmatch(r"[A-Za-z]", last) and last not in ("I", "a"):
        return False  # an initial: "J. Smith"
    if re.fullmatch(r"([a-z]\.)+[a-z]", low):
        return low in ("a.m", "p.m") and following[:1].isupper() and not re.match(r"[A-Z]\.", following)
    if low in ("no", "nos"):
        return not following[:1].isdigit()
    if low in ABBREVIATIONS:
        return (
            low in ("etc", "inc", "ltd", "co", "jr", "sr", "st", "ave", "blvd", "rd")
            and following[:1].isupper()
            and low != "st"
        )
    return True


def _pieces(text: str) -> list[str]:
    """One line cut into pieces of at most LONGEST characters, at the strongest joint there is."""
    if len(text) <= LONGEST:
        return [text]
    for joint in _CLAUSES:
        ends = [m.end() for m in joint.finditer(text) if LONGEST // 6 <= m.end() <= len(text) - LONGEST // 8]
        ends = [end for end in ends if end <= LONGEST] or ends[:1]
        if ends:  # balanced halves where two are enough, else as much as fits
            goal = len(text) / 2 if len(text) < 2 * LONGEST else LONGEST
            end = min(ends, key=lambda e: abs(e - goal))
            if end <= LONGEST:
                return [text[:end].rstrip(), *_pieces(text[end:])]
    return [text[:LONGEST], *_pieces(text[LONGEST:])]


def split_sentences(text: str, language: str = "en") -> list[Sentence]:
    """The sentences of a text in order, those without anything to say left out.

    A line end ends a sentence; blank lines are ignored. Raises TextError where nothing can be spoken.
    """
    sentences: list[Sentence] = []
    for line in re.split(r"[\r\n\u2028\u2029\f\v]+", text):
        line = re.sub(r"\s+", " ", line).strip()
        found, start = [], 0
        for stop in _STOP.finditer(line):
            if _ends_sentence(line[start : stop.end()], line[stop.end() :].lstrip()):
                found.append(line[start : stop.end()].strip())
                start = stop.end()
        found.append(line[start:].strip())
        speakable = [sentence for sentence in found if any(word.spoken for word in normalise(sentence, language))]
        for k, sentence in enumerate(speakable):
            pieces = [piece for piece in _pieces(sentence) if any(word.spoken for word in normalise(piece, language))]
            for p, piece in enumerate(pieces):
                if p < len(pieces) - 1:
                    pause = CLAUSE_PAUSE if re.search(r"[,;:)—–-]$", piece) else CUT_PAUSE
                else:
                    pause = LINE_PAUSE if k == len(speakable) - 1 else SENTENCE_PAUSE
                sentences.append(Sentence(piece, pause))
    if not sentences:
        shown = text.strip()[:40]
        message = f"There is nothing to say in {shown!r}." if shown else "There is no text to say."
        raise TextError(message, "Type at least one word.")
    return sentences
