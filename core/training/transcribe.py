"""python -m core.training.transcribe: words for readers whose text nobody gave us, where the recogniser is sure.

One set brings 244 native readers without texts, four times as many as have one. pocketsphinx's
English model gets a third of their words wrong, but knows which: only phrases between two silences that it is sure of
are aligned and become the part `heard` of the synthesizer's features. Without the readers apart
(`core.training.people`).
"""

import json
import re
from pathlib import Path

import numpy as np

from core.text.phonemes import phonemize
from core.training.alignment import FRAME, Aligned, Aligner, flattened, hear, save_alignments
from core.training.data import CACHE, SAMPLE_RATE, SpeechCache
from core.training.features import make_part
from core.training.people import UNTRANSCRIBED, readers_apart

SURE, LEAST, WORDS = 0.6, 0.1, 3
"""A phrase is kept when its words' posterior probabilities have this mean and minimum, and there are so many words."""


def recognise_all(cache: SpeechCache, path: Path) -> None:
    """Writes a line of JSON for every such reader: i, id, segs (word, first frame, last frame, probability). Goes on
    where it stopped; about 8 minutes of one core in all."""
    from pocketsphinx import Decoder

    done = {json.loads(line)["i"] for line in path.read_text().splitlines()} if path.exists() else set()
    apart, decoder = set(readers_apart(cache)), Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
    for i, row in enumerate(cache.rows):
        if row.set == UNTRANSCRIBED and i not in apart and i not in done:
            samples = cache.samples(i)
            decoder.reinit_feat()
            hear(decoder, samples * (0.8 / max(1e-6, float(np.abs(samples).max()))))
            segs = [(s.word, s.start_frame, s.end_frame, s.prob) for s in decoder.seg()] if decoder.hyp() else []
            with path.open("a") as file:
                file.write(json.dumps({"i": i, "id": row.utt_id, "segs": segs}) + "\n")


def sure_phrases(segs: list) -> list[list]:
    """Runs of phrases between silences: the words, and the frames (first, last) where each run is, as
    [words, first, last]. Neighbouring phrases that are both kept stay together."""
    phrases, current, silence = [], [], segs[0][1] if segs else 0
    for word, first, last, chance in segs:
        if word.startswith(("<", "[", "++")):
            if current:
                phrases.append((current, silence, first + min(8, last - first)))
            current, silence = [], max(first, last - 8)
        else:
            current.append((re.sub(r"\(\d+\)", "", word), chance))
    kept: list[list] = []
    follows = False
    for words, first, last in phrases:
        chances = [chance for _, chance in words]
        if len(words) >= WORDS and np.mean(chances) >= SURE and min(chances) >= LEAST:
            spoken = [word for word, _ in words]
            if follows:
                kept[-1] = [kept[-1][0] + spoken, kept[-1][1], last]
            else:
                kept.append([spoken, first, last])
            follows = True
        else:
            follows = False
    return kept


def make_heard(folder: Path = CACHE) -> int:
    """Recognises, aligns, and writes alignments_heard-00.npz and features_heard-00.npz. Returns how many phrases."""
    cache = SpeechCache()
    recognise_all(cache, folder / "recognised.jsonl")
    jobs = []
    for line in (folder / "recognised.jsonl").read_text().splitlines():
        found = json.loads(line)
        for words, first, last in sure_phrases(found["segs"]):
            phones = phonemize(words)
            if phones and all(phones):
                jobs.append((found["i"], phones, first * FRAME, (last + 1) * FRAME))
    aligner = Aligner(word for _, words, _, _ in jobs for word in words)
    alignments: dict[str, Aligned] = {}
    for i, phones, start, end in jobs:
        timed = aligner.align(cache.samples(i)[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)], phones)
        if timed is None:
            continue
        flat, name = flattened(timed, phones), cache.rows[i].utt_id
        number = sum(key.split("#")[0] == name for key in alignments)
        alignments[f"{name}#{number}" if number else name] = Aligned(
            flat.letters, flat.stress, flat.word, flat.starts + np.float32(start), flat.ends + np.float32(start)
        )
    save_alignments(folder / "alignments_heard-00.npz", alignments)
    make_part(folder / "features_heard-00.npz", cache, alignments, sorted({i for i, *_ in jobs}))
    return len(alignments)


if __name__ == "__main__":
    print(f"{make_heard()} phrases")
