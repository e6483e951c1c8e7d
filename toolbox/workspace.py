"""The state of the toolbox: immutable values, and a signal for each change. It opens and runs nothing.

`toolbox.actions` is the only writer. Widgets read it, connect to its signals, and emit what the user wants.
"""

from dataclasses import dataclass, replace

import numpy as np
from PyQt5.QtCore import QObject, pyqtSignal

from core.inference.registry import ROLES, Card
from core.types import Take, Utterance
from toolbox.colours import speaker_hex


@dataclass(frozen=True, eq=False)
class References:
    """Voices shipped with the toolbox, as neighbours to compare with.

    names, genders, languages: (n,) each. vectors: float32 (n, d), norm 1. space: the encoder space they lie in.
    """

    names: tuple[str, ...]
    vectors: np.ndarray
    space: str
    genders: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Voice:
    """Whose voice speaks: every utterance of `speaker` averaged, or the one utterance alone."""

    speaker: str
    utterance_id: str | None = None


class Workspace(QObject):
    """What there is: utterances, takes, models, and which of them are selected. Setters emit only on change.

    The utterance computed from a take (origin "generated") bears the take's id.
    """

    utterance_added = pyqtSignal(str)
    utterance_removed = pyqtSignal(str)
    utterance_changed = pyqtSignal(str)
    take_added = pyqtSignal(str)
    take_removed = pyqtSignal(str)
    take_changed = pyqtSignal(str)
    selection_changed = pyqtSignal(object)  # id of an utterance, or None
    shown_changed = pyqtSignal(object)  # id of the utterance or take that is looked at, or None
    playing_changed = pyqtSignal(object)  # id of the utterance or take that is heard, or None
    voice_changed = pyqtSignal(object)  # Voice, or None
    models_changed = pyqtSignal()
    references_changed = pyqtSignal()
    layout_changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.utterances: dict[str, Utterance] = {}
        self.takes: dict[str, Take] = {}
        self.shown_id: str | None = None
        self.selected_id: str | None = None
        self.playing_id: str | None = None
        self.voice: Voice | None = None
        self.references: References | None = None
        self.layout = None  # core.inference.projection.Layout of the utterances and references, or None
        self.cards: dict[str, list[Card]] = {role: [] for role in ROLES}
        self.chosen: dict[str, str | None] = dict.fromkeys(ROLES)  # role -> name of the card to use
        self.loaded: dict[str, str | None] = dict.fromkeys(ROLES)  # role -> name of the model in memory
        self._ranks: dict[tuple[type, str], int] = {}  # when each first came: what was removed comes back to its place
        self._colour_index: dict[str, int] = {}
        self._colours_given = 0

    # --- utterances ---------------------------------------------------------------------------------------------

    def add_utterance(self, utterance: Utterance) -> None:
        """Adds, or replaces the one of the same id where it stands; one that was removed, where it stood."""
        known = self._put(self.utterances, utterance)
        self.speaker_colour(utterance.speaker)
        if known:
            self.utterance_changed.emit(utterance.id)
        else:
            self.utterance_added.emit(utterance.id)
            self._show(self.shown_id)  # a take's point on the map comes after the take
        self._check_voice()

    def _put(self, items: dict, item: Utterance | Take) -> bool:
        """Puts an item where it stands, stood or, if it is new, last. Returns whether it was there."""
        known = item.id in items
        items[item.id] = item
        kind = type(item)
        rank = self._ranks.setdefault((kind, item.id), len(self._ranks))
        if not known:
            for later in [id for id in items if self._ranks[kind, id] > rank]:
                items[later] = items.pop(later)
        return known

    def remove_utterance(self, id: str) -> None:
        if id not in self.utterances:
            return
        if self.shown_id == id and id not in self.takes:
            self.select(_neighbour([u.id for u in self.utterances.values() if u.origin != "generated"], id))
        del self.utterances[id]
        self._show(self.shown_id)
        self.utterance_removed.emit(id)
        self._check_voice()

    def rename_utterance(self, id: str, name: str) -> None:
        if self.utterances[id].name != name:
            self.add_utterance(replace(self.utterances[id], name=name))

    def rename_speaker(self, old: str, new: str) -> None:
        """Every utterance of `old` is `new`'s from now on; the colour moves along unless `new` has one already."""
        ids = [id for id, utterance in self.utterances.items() if utterance.speaker == old]
        if old == new or not ids:
            return
        if not any(utterance.speaker == new for utterance in self.utterances.values()):
            self._colour_index[new] = self._colour_index.pop(old)
        voice = self.voice
        for id in ids:
            self.utterances[id] = replace(self.utterances[id], speaker=new)
        for id in ids:
            self.utterance_changed.emit(id)
        if voice is not None and voice.speaker == old:
            self.set_voice(Voice(new, voice.utterance_id))

    def select(self, id: str | None) -> None:
        """Looks at one utterance or take. There is one selection; on the map it is `selected_id`."""
        if id is None or id in self.utterances or id in self.takes:
            self._show(id)

    def _show(self, id: str | None) -> None:
        selected = id if id in self.utterances else None
        shown, self.shown_id = self.shown_id, id
        before, self.selected_id = self.selected_id, selected
        if before != selected:
            self.selection_changed.emit(selected)
        if shown != id:
            self.shown_changed.emit(id)

    def set_playing(self, id: str | None) -> None:
        if id != self.playing_id:
            self.playing_id = id
            self.playing_changed.emit(id)

    @property
    def selected(self) -> Utterance | None:
        return self.utterances.get(self.selected_id) if self.selected_id else None

    def speakers(self) -> list[str]:
        """Who has given a real utterance, in order of appearance."""
        return list(dict.fromkeys(u.speaker for u in self.utterances.values() if u.origin != "generated"))

    def utterances_of(self, speaker: str) -> list[Utterance]:
        """The real utterances of a speaker: generated speech never feeds back into a voice."""
        return [u for u in self.utterances.values() if u.speaker == speaker and u.origin != "generated"]

    def speaker_colour(self, speaker: str) -> str:
        """The speaker's own "#rrggbb", the same for as long as the workspace lives."""
        if speaker not in self._colour_index:
            self._colour_index[speaker] = self._colours_given
            self._colours_given += 1
        return speaker_hex(self._colour_index[speaker])

    # --- the voice to speak in ----------------------------------------------------------------------------------

    def set_voice(self, voice: Voice | None) -> None:
        if voice != self.voice:
            self.voice = voice
            self.voice_changed.emit(voice)

    def voice_utterances(self) -> list[Utterance]:
        """What the chosen voice is made of."""
        if self.voice is None:
            return []
        if self.voice.utterance_id is not None:
            return [self.utterances[self.voice.utterance_id]]
        return self.utterances_of(self.voice.speaker)

    def _check_voice(self) -> None:
        """Keeps `voice` pointing at something that exists."""
        voice = self.voice
        if voice is not None and voice.utterance_id is not None and voice.utterance_id not in self.utterances:
            voice = Voice(voice.speaker)
        speakers = self.speakers()
        if voice is None or voice.speaker not in speakers:
            voice = Voice(speakers[0]) if speakers else None
        self.set_voice(voice)

    # --- takes --------------------------------------------------------------------------------------------------

    def add_take(self, take: Take) -> None:
        """Adds, or replaces the one of the same id where it stands; one that was removed, where it stood."""
        known = self._put(self.takes, take)
        (self.take_changed if known else self.take_added).emit(take.id)

    def remove_take(self, id: str) -> None:
        """Forgets the take and its point on the map."""
        if id not in self.takes:
            return
        if self.shown_id == id:
            self._show(_neighbour(list(self.takes), id))
        del self.takes[id]
        self.take_removed.emit(id)
        self.remove_utterance(id)

    # --- models, references, map --------------------------------------------------------------------------------

    def set_cards(self, cards: dict[str, list[Card]]) -> None:
        if cards != self.cards:
            self.cards = cards
            self.models_changed.emit()

    def set_chosen(self, chosen: dict[str, str | None]) -> None:
        if chosen != self.chosen:
            self.chosen = dict(chosen)
            self.models_changed.emit()

    def set_loaded(self, loaded: dict[str, str | None]) -> None:
        if loaded != self.loaded:
            self.loaded = dict(loaded)
            self.models_changed.emit()

    def card(self, role: str) -> Card | None:
        """The card chosen for a role."""
        return next((card for card in self.cards[role] if card.name == self.chosen[role]), None)

    def set_references(self, references: References | None) -> None:
        if references is not self.references:
            self.references = references
            self.references_changed.emit()

    def set_layout(self, layout) -> None:
        """The latest map: ids and points, references under "reference:<name>"."""
        self.layout = layout
        self.layout_changed.emit()


def _neighbour(ids: list[str], id: str) -> str | None:
    """What to look at when one goes: the next, else the one before."""
    at = ids.index(id)
    return (ids[at + 1 : at + 2] or ids[max(at - 1, 0) : at] or [None])[0]
