"""python -m core.training.teacher: what the published encoder thinks of all our speech, stored once.

A student begins at its mean and is judged by it; while it learns, the teacher is asked anew. Needs the published
weights: `pip install --no-deps resemblyzer` brings them (Apache-2.0), or name any SV2TTS encoder file. Written to the
cache:

    encoder/speech-<k>.int16, encoder/windows-<k>.npz   speech without pauses, and what the teacher makes of 1.6 s of it
                                                        each 0.8 s; the later parts are pseudo-speakers, the training
                                                        speech in one guise after another (`core.training.guise`)
    teacher_embeddings.npz                              utt_ids, vectors: one voice per utterance
"""

import argparse
import importlib.util
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from core.audio.partials import partial_mels, partial_starts, raise_level
from core.audio.speech import trim_silence
from core.errors import ModelError
from core.training.data import CACHE, SAMPLE_RATE, SpeechCache
from core.training.guise import disguise, guise_of
from core.types import Waveform


def published_weights(path: Path | None = None) -> Path:
    """Where the published encoder's file is: `path`, or inside an installed resemblyzer. Raises ModelError."""
    if path is None:
        spec = importlib.util.find_spec("resemblyzer")  # found, never imported: its own imports are not ours to meet
        path = Path(spec.origin).parent / "pretrained.pt" if spec and spec.origin else Path("resemblyzer/pretrained.pt")
    if not Path(path).exists():
        raise ModelError(
            f"The published encoder's weights are not at {path}.",
            "pip install --no-deps resemblyzer, or pass --weights FILE.",
        )
    return Path(path)


def load_teacher(path: Path | None = None):
    """The published GE2E network, in eval mode."""
    import torch

    from core.models.ge2e import GE2E, GE2EConfig, network_state

    state = network_state(torch.load(published_weights(path), map_location="cpu", weights_only=True))
    network = GE2E(GE2EConfig.of(state))
    network.load_state_dict(state, strict=True)
    return network.eval()


def speech_of(samples: np.ndarray) -> np.ndarray:
    """A 16 kHz recording, levelled and without its pauses; untrimmed where less than 0.4 s would remain."""
    samples = raise_level(samples)
    speech = trim_silence(Waveform(samples, SAMPLE_RATE)).samples
    return speech if len(speech) >= 0.4 * SAMPLE_RATE else samples


def embed_windows(network, mels: list[np.ndarray], half: bool, batch: int = 256) -> np.ndarray:
    """mels: arrays (n, 160, 40) -> float32 (sum of n, 256). half: bfloat16, where it is quicker; 0.9997 alike."""
    import torch

    from core.training.precision import autocast

    frames = torch.from_numpy(np.concatenate(mels))
    with torch.inference_mode(), autocast("cpu") if half else nullcontext():
        parts = [network(chunk).float() for chunk in frames.split(batch)]
    vectors = torch.cat(parts)
    return (vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-6)).numpy()


def build_part(part: int, parts: int, folder: Path, weights: Path | None, half: bool) -> None:
    """Every `parts`-th utterance from `part` on; part + k * parts is the same of the training split in guise k."""
    import torch

    torch.set_num_threads(1)
    network, speech = load_teacher(weights), SpeechCache()
    guise = part // parts
    jobs = [i for i in range(part % parts, len(speech), parts) if not guise or speech.rows[i].split == "train"]
    rng = np.random.default_rng(part)
    offset, starts, owners, lengths, vectors, waiting = 0, [], [], [], [], []
    with (folder / f"speech-{part}.int16").open("wb") as file:
        for done, i in enumerate(jobs):
            samples = disguise(speech_of(speech.samples(i)), guise_of(speech.rows[i].speaker, guise))
            # Another cut of the windows each time: fewer of them are alike.
            samples = samples[rng.integers(min(12800, max(1, len(samples) - 25600))) if guise else 0 :]
            file.write((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes())
            windows = partial_starts(len(samples))
            waiting.append(partial_mels(samples, windows))
            starts += [offset + start * 160 for start in windows]
            lengths += [min(len(samples) - start * 160, 25600) for start in windows]
            owners += [i] * len(windows)
            offset += len(samples)
            if sum(map(len, waiting)) >= 1024 or done == len(jobs) - 1:
                vectors.append(embed_windows(network, waiting, half).astype(np.float16))
                waiting = []
            if done % 1000 == 0:
                print(f"part {part}: {done}/{len(jobs)} utterances, {len(owners)} windows", flush=True)
    np.savez(  # last, so that its presence says that both files are whole
        folder / f"windows-{part}.npz",
        starts=np.array(starts),
        lengths=np.array(lengths, np.int32),
        owners=np.array(owners, np.int32),
        guises=np.full(len(owners), guise, np.int16),
        vectors=np.concatenate(vectors),
    )


def write_embeddings(folder: Path, parts: int, out: Path) -> None:
    """One teacher vector per utterance: the mean of its windows each 0.8 s, as the published program does."""
    speech = SpeechCache()
    result = np.zeros((len(speech), 256), np.float32)
    for part in range(parts):
        with np.load(folder / f"windows-{part}.npz") as stored:
            owners, vectors = stored["owners"], stored["vectors"].astype(np.float32)
        for owner in np.unique(owners):
            result[owner] = vectors[owners == owner].mean(axis=0)
    result /= np.linalg.norm(result, axis=1, keepdims=True)
    np.savez(out, utt_ids=np.array([row.utt_id for row in speech.rows]), vectors=result.astype(np.float16))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m core.training.teacher", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--weights", type=Path, help="the published encoder's file (default: the one resemblyzer brings)"
    )
    parser.add_argument("--parts", type=int, default=2, help="processes at once, one thread each")
    parser.add_argument("--exact", action="store_true", help="32-bit arithmetic: half the speed")
    parser.add_argument("--guises", type=int, default=4, help="pseudo-speakers made of each speaker")
    args = parser.parse_args(argv)
    published_weights(args.weights)
    folder = CACHE / "encoder"
    folder.mkdir(parents=True, exist_ok=True)
    SpeechCache()  # decoded once, before the processes want it
    import multiprocessing
    import os

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for the processes
    context = multiprocessing.get_context("spawn")
    for guise in range(args.guises + 1):
        numbers = range(guise * args.parts, (guise + 1) * args.parts)
        workers = [
            context.Process(target=build_part, args=(part, args.parts, folder, args.weights, not args.exact))
            for part in numbers
            if not (folder / f"windows-{part}.npz").exists()
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            return 1
        if guise == 0 and workers:
            write_embeddings(folder, args.parts, CACHE / "teacher_embeddings.npz")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
