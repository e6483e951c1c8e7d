"""python -m core.training.blend OLD NEW --share 0.3: a model between two, trained one from the other or side by side.

Weights on the line from one to the other often do better than either end (Wortsman et al. 2022, "Model soups", arXiv
2203.05482). NEW must have begun with OLD, or both with the same weights. The result is published under NEW's
name, with its card.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from core.errors import ModelError
from core.inference.registry import PRETRAINED, read_card, read_tensors
from core.training.checkpoint import publish, shapes


def blend(old: Path, new: Path, share: float, keep: tuple[str, ...], output: Path) -> Path:
    """Publishes (1 - share) of old and share of new below `output`; weights whose names begin with one of `keep` stay
    the old ones. Raises ModelError where the two have other weights."""
    cards = read_card(old), read_card(new)
    before, after = (read_tensors(card) for card in cards)
    if shapes(before) != shapes(after):
        raise ModelError(
            f"{old.name} and {new.name} have other weights.", "Blend a model with what was trained from it."
        )
    mixed = {
        name: before[name] if name.startswith(keep) else before[name].lerp(after[name].to(before[name].dtype), share)
        for name in before
    }
    kept = f", {' and '.join(keep)} as they were" if keep else ""
    shares = f"of this {share:g}, of what it began with or of a sister {1 - share:g}"
    recipe = f"{cards[1].extra.get('recipe', '')}; {shares}{kept}"
    return publish(replace(cards[1], extra={**cards[1].extra, "recipe": recipe.lstrip("; ")}), mixed, output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m core.training.blend", description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the new one, 0 to 1")
    parser.add_argument("--keep", nargs="*", default=[], metavar="NAME", help="first letters of weights to keep")
    parser.add_argument("--output", type=Path, default=PRETRAINED)
    args = parser.parse_args()
    print(blend(args.old, args.new, args.share, tuple(args.keep), args.output))
