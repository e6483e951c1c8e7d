"""python -m core.training.reference_voices: neighbours for the first voice on the map, as numbers alone.

Writes assets/reference_voices.npz: `vectors` float16 (n, 256), `names`, `genders`, `languages` str (n,), `space` str.
The voices are of training speakers with open licences, embedded by this project's own encoder; make them anew whenever
it changes.
"""

import argparse
import io
from pathlib import Path

import numpy as np

from core.errors import VoiceError
from core.inference.registry import PRETRAINED, find, load
from core.training.data import REPOSITORY, SAMPLE_RATE, Row, SpeechCache
from core.types import Embedding, Waveform, mean_embedding

ASSET = REPOSITORY / "assets" / "reference_voices.npz"
QUOTAS = {
    "librispeech_test-clean": 16,
    "librispeech_tc100_a": 2,
    "librispeech_tc100_b": 2,
    "librispeech_dev-clean_mp3": 4,
    "kathleen": 1,
    "vctk_part": 1,
    "ljspeech_part": 1,
    "speechocean762": 6,
    "common_voice_world": 16,
}
"""How many voices of each set: mostly those with many utterances, then the world's languages."""
_PREFIXES = {
    "librispeech": "LS",
    "speechocean762": "SO",
    "common_voice": "CV",
    "kathleen": "KA",
    "vctk": "VC",
    "ljspeech": "LJ",
}


def public_name(row: Row) -> str:
    """The set's letters, and LibriSpeech's own number: "LS 1089". The caller numbers the others and adds the gender."""
    prefix = next(short for start, short in _PREFIXES.items() if row.set.startswith(start))
    number = row.speaker[2:] if prefix == "LS" and row.speaker.startswith("LS") else ""
    return f"{prefix} {number}".strip()


def choose(rows: list[Row], rng: np.random.Generator) -> list[list[int]]:
    """Utterances of each chosen voice, men and women in turn, no language twice among the world's clips."""
    voices, languages = [], set()
    for name, quota in QUOTAS.items():
        by_speaker: dict[str, list[int]] = {}
        for i, row in enumerate(rows):
            if row.set == name and row.split == "train" and row.gender in ("F", "M") and row.seconds >= 2.5:
                by_speaker.setdefault(row.speaker, []).append(i)
        people = [by_speaker[speaker] for speaker in sorted(by_speaker)]
        rng.shuffle(people)
        for gender in ("F", "M") if quota > 1 else ("FM",):
            taken = 0
            for own in people:
                row = rows[own[0]]
                again = name == "common_voice_world" and (row.language in languages or row.seconds < 4)
                if row.gender not in gender or again or taken >= max(1, quota // 2):
                    continue
                languages.add(row.language if name == "common_voice_world" else "")
                voices.append(rng.permutation(own)[:6].tolist())
                taken += 1
    return voices


def build(encoder, speech: SpeechCache, seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays of the asset."""
    columns: dict[str, list] = {"vectors": [], "names": [], "genders": [], "languages": []}
    numbers: dict[str, int] = {}
    for utterances in choose(speech.rows, np.random.default_rng(seed)):
        row = speech.rows[utterances[0]]
        heard: list[Embedding] = []
        for i in utterances:
            try:
                heard.append(encoder.embed(Waveform(speech.samples(i), SAMPLE_RATE))[0])
            except VoiceError:
                continue
        if not heard:
            continue
        name = public_name(row)
        if len(name) == 2:
            numbers[name] = numbers.get(name, 0) + 1
            name = f"{name} {numbers[name]}"
        columns["vectors"].append(mean_embedding(heard).vector.astype(np.float16))
        columns["names"].append(f"{name} ({row.gender})")
        columns["genders"].append(row.gender)
        columns["languages"].append(row.language)
    return {**{key: np.array(value) for key, value in columns.items()}, "space": np.array(encoder.space)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.training.reference_voices", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--name", help="of the encoder (default: the best there is)")
    parser.add_argument("--folder", type=Path, default=PRETRAINED)
    parser.add_argument("--output", type=Path, default=ASSET)
    args = parser.parse_args(argv)
    arrays = build(load(find("encoder", args.name, args.folder)), SpeechCache())
    args.output.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    np.savez(file, **arrays)
    beside = args.output.with_suffix(".part")
    beside.write_bytes(file.getvalue())
    beside.replace(args.output)
    print(f"{len(arrays['names'])} voices, {len(set(arrays['languages']))} languages -> {args.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
