"""Everything that judges one sound of the evaluation of speech: words, voices, opinions, pitch."""

import contextlib
import json
import os
import sys

import numpy as np

from core.errors import VoiceError
from core.evaluation import measures
from core.evaluation.words import lost_and_doubled
from core.inference import registry
from core.training.data import CACHE, SAMPLE_RATE
from core.types import Waveform


class Judges:
    """Recogniser, voices by our encoder and by Resemblyzer's weights, opinion scores, pitch."""

    def __init__(self):
        self.encoder = registry.load(registry.find("encoder"))
        self._public = None
        try:
            from core.training.teacher import load_teacher

            self._public = load_teacher()
        except VoiceError as error:
            print(f"{error} Its similarities are left out.", file=sys.stderr)

    def voices(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """The voice heard, by name of the encoder, each of norm 1; without those that refuse the sound."""
        found = {}
        with contextlib.suppress(VoiceError):
            found["ours"] = self.encoder.embed(Waveform(samples, SAMPLE_RATE))[0].vector
        if self._public is not None:
            from core.audio.partials import partial_mels, partial_starts
            from core.training.teacher import embed_windows, speech_of

            speech = speech_of(np.asarray(samples, np.float32))
            mean = embed_windows(self._public, [partial_mels(speech, partial_starts(len(speech)))], half=False).mean(
                axis=0
            )
            found["resemblyzer"] = mean / max(float(np.linalg.norm(mean)), 1e-6)
        return found

    def judge(self, samples: np.ndarray, words: list[str], opinion: bool, key: str = "") -> dict:
        """Everything that needs one sound and its words, as spoken, alone. opinion: whether to ask DNSMOS (slow).

        key: what names a sound that is always the same; its judgement is kept in the cache, all but the voices.
        """
        found = self._kept().get(key, {}) if key else {}
        if "lost" not in found:
            found = self._judge(samples, words, opinion)
            if key:
                path = CACHE / "judged_speech.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                beside = path.with_suffix(f".{os.getpid()}.part")  # other processes read it
                beside.write_text(json.dumps({**self._kept(), key: found}), encoding="utf-8")
                beside.replace(path)
        return {**found, "voices": self.voices(samples)}

    @staticmethod
    def _kept() -> dict[str, dict]:
        path = CACHE / "judged_speech.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    @staticmethod
    def _judge(samples: np.ndarray, words: list[str], opinion: bool) -> dict:
        padded = np.pad(samples, SAMPLE_RATE // 3)
        heard = measures.recognise(padded)
        errors, n_words = measures.word_errors(written(words), heard)
        lost, doubled = lost_and_doubled(samples, words)
        f0, voiced = measures.pitch(samples)
        result = {
            "heard": heard,
            "errors": errors,
            "words": n_words,
            "lost": [words[k] for k in lost],
            "doubled": [words[k] for k in doubled],
            "f0": float(np.median(f0[voiced])) if voiced.any() else 0.0,
        }
        with contextlib.suppress(VoiceError):
            if opinion:
                result["dnsmos"] = measures.dnsmos(samples)["overall"]
        return {**result, "seconds": len(samples) / SAMPLE_RATE}


def written(words: list[str]) -> str:
    """Spoken words as a text to count errors against; the letter a is spelt "eh" for the synthesizer's sake."""
    return " ".join(words).replace("eh ", "a ")
