"""Lists the models in pretrained/, the best of each role first, without loading them."""

import argparse

from cli.terminal import note, table
from core.inference import registry


def configure(parser: argparse.ArgumentParser) -> None:
    del parser  # nothing beyond what all verbs have


def run(arguments: argparse.Namespace) -> dict:
    cards, problems = registry.available(arguments.pretrained)
    for problem in problems:
        note(str(problem))
    return {
        "models": [
            {
                "role": card.role,
                "name": card.name,
                "architecture": card.architecture,
                "bytes": card.path.stat().st_size if card.path else 0,
                "languages": list(card.languages),
                "trained_on": card.trained_on,
                "steps": card.steps,
                "metrics": card.metrics,
                "licence": card.licence,
            }
            for role in registry.ROLES
            for card in cards[role]
        ]
    }


def show(result: dict) -> None:
    rows = [["role", "name", "architecture", "size", "languages", "metrics"]]
    for model in result["models"]:
        size = f"{model['bytes'] / 1e6:.1f} MB" if model["bytes"] else "-"
        # Numbers alone fit a table; --json gives the rest of the card's metrics.
        numbers = {name: value for name, value in model["metrics"].items() if isinstance(value, int | float)}
        metrics = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
        languages = " ".join(model["languages"])
        rows.append([model["role"], model["name"], model["architecture"], size, languages or "-", metrics or "-"])
    print(table(rows, numbers_from=len(rows[0])))
