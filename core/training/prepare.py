"""From the recorded speech to what the synthesizer's trainer reads: alignments, features, voices, under `cache/`."""

import argparse
import multiprocessing
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.text.normalise import normalise
from core.training.alignment import align_utterances, load_alignments, save_alignments
from core.training.data import CACHE, SAMPLE_RATE, SpeechCache
from core.training.features import make_part
from core.training.guise import disguise, guise_of

SETS = {
    "clean": (
        "librispeech_test-clean",
        "librispeech_tc100_a",
        "librispeech_tc100_b",
        "vctk_part",
        "ljspeech_part",
        "kathleen",
    ),
    "lossy": ("librispeech_dev-clean_mp3",),
    "accented": ("speechocean762", "common_voice_en_100"),
}
"""Part -> sets with English text. The ten unseen speakers are left out of every part."""
LONGEST = 40.0  # seconds
PARTS = ("clean", "lossy", "accented", "heard", "shifted")
"""Heard: phrases of readers without texts (`core.training.transcribe`). Shifted: pseudo-speakers, every second clean
utterance in a guise (`core.training.guise`)."""
GUISES = 4
CHUNK = 300  # utterances


def utterances(cache: SpeechCache, part: str) -> list[int]:
    """Indices of a part's utterances. A sentence that one reader repeats (kathleen) is taken once."""
    found, said = [], set()
    for i, row in enumerate(cache.rows):
        if row.set in SETS[part] and row.split != "val_unseen" and row.text and row.seconds < LONGEST:
            key = (row.speaker, " ".join(s for word in normalise(row.text) for s in word.spoken))
            if key not in said:
                said.add(key)
                found.append(i)
    return found


def pseudo_speakers(cache: SpeechCache) -> dict[int, int]:
    """Index -> number of its guise, of every second clean utterance; GUISES pseudo-speakers of each speaker."""
    return {i: 1 + k % GUISES for k, i in enumerate(utterances(cache, "clean")[::2])}


def teach_pseudo_speakers(cache: SpeechCache, folder: Path) -> None:
    """Writes the teacher's voices of them, shifted_embeddings.npz (utt_ids "<utt_id>@<guise>", vectors), from what
    `core.training.teacher` has stored; nothing where it has not run."""
    wanted, names, vectors = pseudo_speakers(cache), [], []
    for path in sorted((folder / "encoder").glob("windows-*.npz")):
        with np.load(path) as stored:
            owners, guises = stored["owners"], stored["guises"]
            views = stored["vectors"].astype(np.float32) if guises[0] else None
        if views is None:
            continue
        order = np.argsort(owners, kind="stable")
        found, first = np.unique(owners[order], return_index=True)
        for owner, members in zip(found, np.split(order, first[1:]), strict=True):
            if wanted.get(int(owner)) == guises[0]:
                names.append(f"{cache.rows[owner].utt_id}@{guises[0]}")
                vectors.append(views[members].mean(axis=0))
    if names:
        np.savez(folder / "shifted_embeddings.npz", utt_ids=np.array(names), vectors=np.array(vectors, np.float16))


def chunks(cache: SpeechCache, part: str, folder: Path) -> dict[str, list[int]]:
    """A part in chunks that can be learnt from by themselves: name -> indices, speakers mixed."""
    indices = sorted(pseudo_speakers(cache)) if part == "shifted" else utterances(cache, part)
    random.Random(0).shuffle(indices)
    return {f"{part}-{k // CHUNK:02d}": indices[k : k + CHUNK] for k in range(0, len(indices), CHUNK)}


def _make(job: tuple[str, list[int]]) -> str:
    """Aligns (or finds the alignment of) one chunk, and writes its features."""
    name, indices = job
    cache, folder = _shared["cache"], _shared["folder"]
    if name.startswith("shifted"):
        alignments: dict = {}
        for path in sorted(folder.glob("alignments_clean-*.npz")):
            alignments.update(load_alignments(path))
        guises = pseudo_speakers(cache)
    else:
        path, guises = folder / f"alignments_{name}.npz", None
        alignments = load_alignments(path)
        if not alignments:
            alignments = align_utterances(cache, indices)
            save_alignments(path, alignments)
    make_part(folder / f"features_{name}.npz", cache, alignments, indices, guises)
    return name


_shared: dict = {}


def prepare(
    folder: Path = CACHE, parts: Sequence[str] = PARTS, processes: int = 2, share: tuple[int, int] = (0, 1)
) -> None:
    """Makes what is missing: about 10 minutes of two idle cores for all 15 hours (2.5 of them pseudo-speakers), and
    8 of one for the recogniser of the part `heard`.

    share (k, n): only every n-th chunk from the k-th on, to split the work among machines or processes.
    """
    folder = Path(folder)
    cache = SpeechCache()
    if "heard" in parts and not (folder / "features_heard-00.npz").exists():
        from core.training.transcribe import make_heard

        print(f"prepared heard, {make_heard(folder)} phrases", flush=True)
    if "shifted" in parts:
        teach_pseudo_speakers(cache, folder)
    jobs = [job for part in parts if part != "heard" for job in chunks(cache, part, folder).items()][
        share[0] :: share[1]
    ]
    jobs = [job for job in jobs if not (folder / f"features_{job[0]}.npz").exists()]
    _shared.update(cache=cache, folder=folder)
    if processes == 1:
        for job in jobs:
            print(f"prepared {_make(job)}", flush=True)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for name in pool.imap(_make, jobs):
            print(f"prepared {name}", flush=True)


def embed_all(path: Path, parts: Sequence[str], folder: Path = CACHE, each: int = 0) -> None:
    """Voices by the project's own encoder: of every utterance of the parts (arrays utt_ids, vectors).

    each: of so many training utterances of each speaker only, under the speaker's name (speakers, vectors).
    """
    from core.errors import VoiceError
    from core.inference import registry
    from core.types import Waveform

    cache = SpeechCache()
    encoder = registry.load(registry.find("encoder"))
    by_id = {row.utt_id: i for i, row in enumerate(cache.rows)}
    wanted: dict[str, dict[str, None]] = {}  # speaker -> utt_ids
    for chunk in sorted(path for part in parts for path in Path(folder).glob(f"features_{part}-[0-9]*.npz")):
        with np.load(chunk) as stored:
            for utt_id, speaker, split in zip(stored["utt_ids"], stored["speakers"], stored["splits"], strict=True):
                if not each or split == "train":
                    wanted.setdefault(str(speaker), {})[str(utt_id)] = None
    names, vectors = [], []
    for n, (speaker, utt_ids) in enumerate(wanted.items()):
        for utt_id in list(utt_ids)[: each or None]:
            base, _, guise = utt_id.partition("@")
            i = by_id[base]
            samples = disguise(cache.samples(i), guise_of(cache.rows[i].speaker, int(guise or 0)))
            try:
                embedding, _ = encoder.embed(Waveform(samples, SAMPLE_RATE))
            except VoiceError:
                continue
            names.append(speaker if each else utt_id)
            vectors.append(embedding.vector)
        if n % 50 == 0:
            print(f"voices of {n} of {len(wanted)} speakers", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        arrays = {"speakers" if each else "utt_ids": np.array(names), "vectors": np.array(vectors, np.float16)}
        np.savez(file, **arrays)
    beside.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=list(PARTS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("K", "N"))
    parser.add_argument(
        "--voices", type=int, default=0, metavar="N", help="only embed N utterances of each speaker by our encoder"
    )
    options = parser.parse_args()
    if options.voices:
        embed_all(CACHE / "student_voices.npz", options.parts, each=options.voices)
    else:
        prepare(CACHE, options.parts, options.processes, tuple(options.share))
