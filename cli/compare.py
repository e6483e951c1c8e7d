"""Prints how alike the voices of recordings are: cosine similarities, 1 for the same voice."""

import argparse
from pathlib import Path

from cli.embed import configure as configure_embed
from cli.embed import embed_files
from cli.terminal import UsageError, table
from core.inference import registry


def configure(parser: argparse.ArgumentParser) -> None:
    configure_embed(parser)


def run(arguments: argparse.Namespace) -> dict:
    if len(arguments.files) < 2:
        raise UsageError("One file cannot be compared.", "Name two or more.")
    encoder, embeddings = embed_files(arguments)
    cards = registry.available(arguments.pretrained)[0]["encoder"]
    usual = next((card.usual_similarities for card in cards if card.name == encoder), None)
    return {
        "encoder": encoder,
        "usual": usual and dict(zip(("different", "same"), usual, strict=True)),
        "files": [str(path) for path in arguments.files],
        "similarities": [[round(a.similarity(b), 4) for b in embeddings] for a in embeddings],
    }


def show(result: dict) -> None:
    names = [f"{i}  {Path(file).name}" for i, file in enumerate(result["files"], 1)]
    rows = [["", *range(1, len(names) + 1)]]
    rows += [[name, *(f"{x:.3f}" for x in row)] for name, row in zip(names, result["similarities"], strict=True)]
    print(table(rows))
    if usual := result["usual"]:
        print(f"Usual: {usual['same']:.2f} for two utterances of one person, {usual['different']:.2f} for two people.")
