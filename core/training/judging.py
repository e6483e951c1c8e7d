"""An encoder in training, judged on the speakers kept apart."""

from dataclasses import asdict

import numpy as np

from core.evaluation.verification import equal_error_rate, pair_similarities
from core.inference.encoder import GE2EEncoder, VoiceprintEncoder, WindowedEncoder
from core.inference.registry import Card
from core.models.ge2e import GE2E
from core.models.voiceprint import Voiceprint
from core.training.windows import Windows


def architecture(network: Voiceprint | GE2E) -> str:
    """Of a network, as cards and resume files call it."""
    return "voiceprint" if isinstance(network, Voiceprint) else "ge2e"


def as_used(network: Voiceprint | GE2E) -> WindowedEncoder:
    """The network as it will be used."""
    kind = VoiceprintEncoder if isinstance(network, Voiceprint) else GE2EEncoder
    card = Card("encoder", architecture(network), "student", config=asdict(network.config))
    return kind(card, {name: tensor.cpu() for name, tensor in network.state_dict().items()})


def judge(
    network: Voiceprint | GE2E, windows: Windows, per_speaker: int = 12
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Numbers of a network on other speakers, clean: EER, same and different similarity, cosine to the teacher.

    Returns them with the utterances' vectors (n, d) and speakers (n,).
    """
    rng = np.random.default_rng(0)
    chosen = []
    for speaker in np.unique(windows.speaker):
        utterances = np.unique(windows.utterance[windows.speaker == speaker])
        chosen += list(rng.permutation(utterances)[:per_speaker])
    embed = as_used(network).embed_speech
    vectors, speakers, cosines = [], [], []
    for utterance in chosen:
        members = np.flatnonzero(windows.utterance == utterance)
        vectors.append(embed(windows.speech(members))[0].vector)
        speakers.append(windows.speaker[members[0]])
        if windows.voices is not None:
            cosines.append(float(vectors[-1] @ windows.voices[members[0]].astype(np.float32)))
    vectors, speakers = np.stack(vectors), np.array(speakers)
    same, different = pair_similarities(vectors, speakers)
    numbers = {
        "eer": equal_error_rate(same, different),
        "same": float(same.mean()) if len(same) else float("nan"),
        "different": float(different.mean()) if len(different) else float("nan"),
    }
    if cosines:
        numbers["teacher_cosine"] = float(np.mean(cosines))
    return numbers, vectors, speakers
