"""Which models are there, which are used, and bringing them into memory."""

from pathlib import Path

from PyQt5.QtCore import QObject, pyqtSignal

from core.errors import ModelError
from core.inference import registry
from core.inference.registry import ROLES, Card
from core.progress import Report
from toolbox import actions, gentle


def best_choice(cards: dict[str, list[Card]], wanted: dict[str, str | None]) -> dict[str, str | None]:
    """Role -> name: the wanted one where it exists and fits those before it, else the best that fits, else None."""
    chosen: list[Card] = []
    names: dict[str, str | None] = {}
    for role in ROLES:
        fitting = [card for card in cards[role] if all(registry.fits(other, card) for other in chosen)]
        card = next((card for card in fitting if card.name == wanted.get(role)), fitting[0] if fitting else None)
        names[role] = card.name if card else None
        if card:
            chosen.append(card)
    return names


class ModelActions(QObject):
    """Looks into pretrained/, chooses, loads."""

    loaded = pyqtSignal()

    def __init__(self, tools: "actions.Tools", parent: QObject):
        super().__init__(parent)
        self.tools = tools
        self._known_problems: set[str] = set()
        self._missing: list[str] = []

    @property
    def folder(self) -> Path:
        return self.tools.cloner.folder

    def rescan(self, asked: bool = True) -> None:
        """Looks what lies in pretrained/; loads what is new or has taken the place of what is gone.

        asked: whether a person did; else what is missing is not said a second time.
        """
        folder = self.folder
        if asked:
            self._missing = []
        job = self.tools.files.submit(
            "Looking for models", lambda report: registry.available(folder), verb="rescan", quiet=True
        )
        job.succeeded.connect(self._on_found)
        job.failed.connect(self.tools.notices.failure)

    def _on_found(self, found: tuple[dict[str, list[Card]], list[ModelError]]) -> None:
        cards, problems = found
        workspace = self.tools.workspace
        fresh = cards != workspace.cards
        workspace.set_cards(cards)
        for problem in problems:
            if str(problem) not in self._known_problems:
                self.tools.notices.failure(problem, key=f"model {problem.message}")
        self._known_problems = {str(problem) for problem in problems}
        missing = [role for role in ("encoder", "synthesizer") if not cards[role]]
        if missing and missing != self._missing:
            self.tools.notices.warning(
                f"There is no {' and no '.join(missing)} in {self.folder}.",
                "Put the project's pretrained folder there (git checkout pretrained), then look again.",
                action_label="Look again",
                action=self.rescan,
                key="no models",
            )
        elif not missing:
            self.tools.notices.withdraw("no models")
        self._missing = missing
        if fresh or workspace.loaded != workspace.chosen:
            settings = self.tools.settings
            wanted = {role: settings.text(f"models/{role}") or None for role in ROLES}
            self._use(best_choice(cards, wanted))

    def choose(self, role: str, name: str) -> None:
        """Uses this model from now on; those after it change only where they do not fit it."""
        workspace = self.tools.workspace
        if workspace.chosen[role] != name:
            self.tools.settings.put(f"models/{role}", name)
            self._use(best_choice(workspace.cards, {**workspace.chosen, role: name}))

    def ensure(self) -> None:
        """Loads again what a cancelled load has left out; before work that needs models, in the same lane."""
        busy = any(job.verb == "models" for job in self.tools.models.jobs.values())
        if self.tools.workspace.loaded != self.tools.workspace.chosen and not busy:
            self._use(self.tools.workspace.chosen)

    def _use(self, chosen: dict[str, str | None]) -> None:
        workspace, cloner = self.tools.workspace, self.tools.cloner
        workspace.set_chosen(chosen)
        cards = {role: workspace.card(role) for role in ROLES}
        title = "Changing models" if any(workspace.loaded.values()) else "Loading the models"
        job = self.tools.models.submit(title, lambda report: load_each(cloner, cards, report), verb="models")
        job.succeeded.connect(self._on_loaded)
        job.failed.connect(self.tools.notices.failure)

    def _on_loaded(self, outcome: tuple[dict[str, str | None], list[ModelError]]) -> None:
        loaded, problems = outcome
        for problem in problems:
            self.tools.notices.failure(problem, key=f"model {problem.message}")
        self.tools.workspace.set_chosen(loaded)
        self.tools.workspace.set_loaded(loaded)
        self.loaded.emit()


def load_each(cloner, cards: dict[str, Card | None], report: Report) -> tuple[dict[str, str | None], list[ModelError]]:
    """Loads the chosen models. One that turns out damaged is left out, the others work; runs in the models lane.

    Returns role -> name of what is loaded, and the problems met.
    """
    gentle.open_libraries()
    problems: list[ModelError] = []
    wanted = {role: card.name for role, card in cards.items() if card}
    try:
        cloner.select(**wanted, report=report)
    except (ModelError, OSError):
        problems = cloner.select_usable(wanted, report)
    return {role: getattr(getattr(cloner, role), "name", None) for role in ROLES}, problems
