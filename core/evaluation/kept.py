"""What an evaluation has judged so far, in a file, so that a run that was stopped goes on."""

import contextlib
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from core.evaluation.cases import Case
from core.inference import registry
from core.training.data import CACHE


class Kept:
    """What was judged, a line of JSON each, so that a run that was stopped goes on. Other models, or other code, begin
    another file."""

    def __init__(self, cards: list[registry.Card], copies: bool, folder: Path = CACHE, tuned: bool = True):
        digest = hashlib.sha256(f"{copies} {tuned} {[card.name for card in cards]}".encode())
        code = (Path(__file__).parents[1]).rglob("*.py")
        for path in sorted([*code, *(card.path for card in cards if card.path)]):
            digest.update(path.read_bytes())
        self.path = Path(folder) / f"judged_{digest.hexdigest()[:16]}.jsonl"
        self.results: dict[str, dict[str, dict]] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # the last line of a run that was stopped while it wrote
                    entry = json.loads(line)
                    self.results[entry["case"]] = entry["found"]

    @staticmethod
    def key(case: Case) -> str:
        return json.dumps(asdict(case), sort_keys=True)

    def add(self, case: Case, found: dict[str, dict]) -> None:
        """Remembers, and writes at once."""
        line = json.dumps({"case": self.key(case), "found": found}, default=lambda array: array.tolist())
        self.results[self.key(case)] = json.loads(line)["found"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * (file.tell() > 0) + line)  # a torn line stays alone
