"""Prints where the voices of recordings lie: one embedding per file."""

import argparse
from pathlib import Path

from cli.engine import add_model_options, embed_file, load_model, read
from cli.terminal import progress
from core.progress import part
from core.types import Embedding


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="recordings of one person each")
    add_model_options(parser, "encoder")


def run(arguments: argparse.Namespace) -> dict:
    encoder, embeddings = embed_files(arguments)
    return {
        "encoder": encoder,
        "embeddings": [
            {"file": str(path), "vector": [round(float(x), 6) for x in embedding.vector]}
            for path, embedding in zip(arguments.files, embeddings, strict=True)
        ],
    }


def embed_files(arguments: argparse.Namespace) -> tuple[str, list[Embedding]]:
    """The encoder's name, and the embedding of each of `arguments.files`."""
    waveforms = [read(path) for path in arguments.files]
    with progress() as report:
        report(0.0, "loading the encoder")
        encoder = load_model(arguments, "encoder", arguments.encoder)
        n = len(waveforms)
        return encoder.name, [
            embed_file(encoder, path, waveform, part(report, i / n, (i + 1) / n))
            for i, (path, waveform) in enumerate(zip(arguments.files, waveforms, strict=True))
        ]


def show(result: dict) -> None:
    for one in result["embeddings"]:
        print(one["file"], *(f"{x:.4f}" for x in one["vector"]), sep="\t")
