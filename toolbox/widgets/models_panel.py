"""Which models are at work: one choice for each role, offering only what fits."""

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QGridLayout, QLabel, QWidget

from core.inference import registry
from core.inference.registry import ROLES, Card
from toolbox.theme import Theme
from toolbox.widgets import parts
from toolbox.workspace import Workspace

TIPS = {
    "encoder": "Listens to a voice and says where it lies among others",
    "synthesizer": "Turns text and a voice into a mel spectrogram",
    "vocoder": "Turns a mel spectrogram into sound",
}


def about(card: Card) -> str:
    """A few lines on a model, from its card."""
    lines = [f"{card.name} ({card.architecture})"]
    if card.trained_on:
        lines.append(f"Trained on {card.trained_on}" + (f", {card.steps:,} steps" if card.steps else ""))
    if card.languages:
        lines.append("Languages: " + ", ".join(card.languages))
    numbers = [f"{k} {v:.3g}" for k, v in card.metrics.items() if isinstance(v, int | float)]
    if numbers:
        lines.append(", ".join(numbers[:4]))
    if card.licence:
        lines.append(card.licence)
    return "\n".join(lines)


class ModelsPanel(parts.Card):
    """Three drop-downs. A model that is chosen but not in memory yet is named as loading."""

    chosen = pyqtSignal(str, str)  # role, name
    rescan_wanted = pyqtSignal()

    def __init__(self, workspace: Workspace, theme: Theme, parent: QWidget | None = None):
        super().__init__("Models", parent)
        self._workspace = workspace
        self.state = QLabel()
        self.state.setObjectName("muted")
        self.header.addWidget(self.state)
        self.rescan = parts.icon_button(theme, "refresh", "Look again which models there are", colour="muted")
        self.rescan.clicked.connect(self.rescan_wanted)
        self.header.addWidget(self.rescan)
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(parts.GAP - 2)
        self.choices: dict[str, parts.Choice] = {}
        for row, role in enumerate(ROLES):
            label = QLabel(role.capitalize())
            label.setObjectName("muted")
            label.setToolTip(TIPS[role])
            choice = parts.Choice(role.capitalize(), TIPS[role])
            choice.activated.connect(lambda i, role=role: self._on_activated(role, i))
            label.setBuddy(choice)
            grid.addWidget(label, row, 0)
            grid.addWidget(choice, row, 1)
            self.choices[role] = choice
        grid.setColumnStretch(1, 1)
        self.body.addLayout(grid)
        workspace.models_changed.connect(self.on_models_changed)
        self.on_models_changed()

    def on_models_changed(self) -> None:
        workspace = self._workspace
        before: list[Card] = []
        for role in ROLES:
            fitting = [card for card in workspace.cards[role] if all(registry.fits(other, card) for other in before)]
            self._fill(self.choices[role], fitting, workspace.chosen[role])
            card = workspace.card(role)
            if card is not None:
                before.append(card)
        missing = [role for role in ROLES if workspace.chosen[role] is None]
        if missing:
            self.state.setText("incomplete")
        elif workspace.loaded == workspace.chosen:
            self.state.setText("ready")
        else:
            self.state.setText("loading…")

    def _fill(self, choice: parts.Choice, cards: list[Card], chosen: str | None) -> None:
        names = [card.name for card in cards]
        if [choice.itemData(i) for i in range(choice.count())] != (names or [None]):
            choice.clear()
            for card in cards:
                choice.addItem(card.name, card.name)
                choice.setItemData(choice.count() - 1, about(card), Qt.ToolTipRole)
            if not cards:
                choice.addItem("none found", None)
        choice.setEnabled(bool(cards))
        choice.setCurrentIndex(max(choice.findData(chosen), 0))
        current = next((card for card in cards if card.name == chosen), None)
        if current is not None:
            choice.setToolTip(about(current))

    def _on_activated(self, role: str, index: int) -> None:
        name = self.choices[role].itemData(index)
        if name:
            self.chosen.emit(role, name)
