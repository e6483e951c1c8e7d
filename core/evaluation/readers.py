"""python -m core.evaluation.readers FOLDER...: compares synthesizers, one in each folder, on readers to choose by.

The final evaluation (`cli.evaluate speech`) is for the ten unseen speakers alone; choices are made on 48 others, whom
no synthesizer has learnt from. Each says one sentence in the voice of one utterance; two minutes of one core apiece.
"""

import argparse
from pathlib import Path

import numpy as np

from core.evaluation import measures
from core.evaluation.cases import Case
from core.evaluation.judges import Judges
from core.evaluation.sentences import HARD, HARVARD
from core.evaluation.speech import speak
from core.evaluation.verification import equal_error_rate
from core.inference import registry
from core.inference.cloner import use_one_thread
from core.inference.tuning import tuner_for
from core.training.data import SpeechCache
from core.training.people import readers_apart
from core.types import Embedding


def compare(folders: list[Path], opinion: bool = True, tuned: bool = True) -> list[dict[str, float]]:
    """One row of numbers for each folder: word error rate, DNSMOS, and by Resemblyzer's weights: similarity to the
    utterance, how often it is nearest to its own among the 48, EER; seconds of speech."""
    cache, judges = SpeechCache(), Judges()
    use_one_thread()
    vocoder = registry.load(registry.find("vocoder"))
    readers = [judges.voices(cache.samples(i)) for i in readers_apart(cache)]
    real = np.stack([voices["resemblyzer"] for voices in readers])
    rows = []
    for folder in folders:
        synthesizer = registry.load(registry.find("synthesizer", None, folder))
        tuner = tuner_for(synthesizer, registry.PRETRAINED) if tuned else None
        errors = words = seconds = 0
        opinions, made = [], []
        for n, voices in enumerate(readers):
            text = (HARVARD + HARD)[n % 40]
            case = Case(text, "", 0, (), None)
            voice = Embedding(voices["ours"], synthesizer.space)
            samples, _, _ = speak(case, tuner.tune(voice) if tuner else voice, synthesizer, vocoder)
            wrong, said = measures.word_errors(text, measures.recognise(np.pad(samples, 5000)))
            errors, words, seconds = errors + wrong, words + said, seconds + len(samples) / 16000
            made.append(judges.voices(samples)["resemblyzer"])
            if opinion:
                opinions.append(measures.dnsmos(samples)["overall"])
        scores = np.stack(made) @ real.T
        own = np.diag(scores)
        rows.append(
            {
                "wer": errors / words,
                "dnsmos": float(np.mean(opinions)) if opinions else float("nan"),
                "similarity": float(own.mean()),
                "nearest": float((scores.argmax(axis=1) == np.arange(len(own))).mean()),
                "eer": equal_error_rate(own, scores[~np.eye(len(own), dtype=bool)]),
                "seconds": seconds,
            }
        )
        print(f"{folder}: " + "  ".join(f"{name} {value:.3f}" for name, value in rows[-1].items()), flush=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m core.evaluation.readers", description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="as pretrained/: with synthesizer/*.safetensors")
    parser.add_argument("--no-opinion", action="store_true", help="without DNSMOS, the slowest judge")
    parser.add_argument("--no-tuning", action="store_true", help="without tuning the synthesizer to each voice")
    arguments = parser.parse_args()
    compare(arguments.folders, not arguments.no_opinion, not arguments.no_tuning)
