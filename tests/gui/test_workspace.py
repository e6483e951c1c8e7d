"""The state: signals on change only, one selection, colours without end, names that are no identities."""

import numpy as np
import pytest

from core.types import PROJECT_MEL, Embedding, Mel, Receipt, Take, Utterance, Waveform, new_id
from toolbox.workspace import Voice, Workspace


def utterance(name="one", speaker="Anna", origin="file", id=None):
    vector = np.eye(256, dtype=np.float32)[hash(name) % 256]
    mel = Mel(np.zeros((80, 10)), PROJECT_MEL)
    wave = Waveform(np.zeros(2000), 16000)
    return Utterance(
        id or new_id(), name, speaker, wave, mel, Embedding(vector, "ge2e-256"), vector[None], origin, "1.wav"
    )


def take(text="hello"):
    receipt = Receipt(text, (), (), "ge2e-256", "s", "v", 0)
    return Take(new_id(), text, None, Mel(np.zeros((80, 10)), PROJECT_MEL), receipt)


@pytest.fixture
def workspace(qapp):
    return Workspace()


def test_two_files_of_one_name_are_two_utterances(workspace):
    workspace.add_utterance(utterance("1"))
    workspace.add_utterance(utterance("1"))
    assert len(workspace.utterances) == 2


def test_a_hundred_speakers_have_a_hundred_colours(workspace):
    colours = {workspace.speaker_colour(f"speaker {i}") for i in range(100)}
    assert len(colours) == 100
    assert workspace.speaker_colour("speaker 15") == workspace.speaker_colour("speaker 15")


def test_renaming_a_speaker_keeps_colour_voice_and_order(workspace, qtbot):
    for name in ("one", "two"):
        workspace.add_utterance(utterance(name))
    colour = workspace.speaker_colour("Anna")
    order = list(workspace.utterances)
    workspace.rename_speaker("Anna", "Анна")
    assert workspace.speakers() == ["Анна"]
    assert workspace.speaker_colour("Анна") == colour
    assert workspace.voice == Voice("Анна")
    assert list(workspace.utterances) == order


def test_renaming_onto_another_speaker_merges_them(workspace):
    workspace.add_utterance(utterance("one", "Anna"))
    workspace.add_utterance(utterance("two", "Ben"))
    bens = workspace.speaker_colour("Ben")
    workspace.rename_speaker("Anna", "Ben")
    assert workspace.speakers() == ["Ben"] and len(workspace.utterances_of("Ben")) == 2
    assert workspace.speaker_colour("Ben") == bens


def test_setters_emit_only_on_change(workspace, qtbot):
    item = utterance()
    workspace.add_utterance(item)
    workspace.select(item.id)
    with qtbot.assertNotEmitted(workspace.selection_changed):
        workspace.select(item.id)
    with qtbot.assertNotEmitted(workspace.voice_changed):
        workspace.set_voice(Voice("Anna"))
    with qtbot.assertNotEmitted(workspace.utterance_changed):
        workspace.rename_utterance(item.id, item.name)


def test_removing_the_selected_one_selects_its_neighbour(workspace):
    items = [utterance(n) for n in "abc"]
    for item in items:
        workspace.add_utterance(item)
    workspace.select(items[1].id)
    workspace.remove_utterance(items[1].id)
    assert workspace.selected_id == items[2].id
    workspace.remove_utterance(items[2].id)
    assert workspace.selected_id == items[0].id
    workspace.remove_utterance(items[0].id)
    assert workspace.selected_id is None and workspace.voice is None


def test_a_take_and_its_point_are_one_selection(workspace):
    spoken = take()
    workspace.add_take(spoken)
    workspace.select(spoken.id)
    assert workspace.shown_id == spoken.id and workspace.selected_id is None
    workspace.add_utterance(utterance("take", "Anna", "generated", spoken.id))
    assert workspace.selected_id == spoken.id
    workspace.remove_take(spoken.id)
    assert not workspace.utterances and not workspace.takes and workspace.shown_id is None


def test_generated_speech_is_no_part_of_a_voice(workspace):
    real = utterance("one")
    workspace.add_utterance(real)
    workspace.add_utterance(utterance("made", "Anna", "generated"))
    assert [u.id for u in workspace.voice_utterances()] == [real.id]
    workspace.set_voice(Voice("Anna", real.id))
    workspace.remove_utterance(real.id)
    assert workspace.voice is None and workspace.voice_utterances() == []


def test_what_comes_back_takes_its_place_and_what_is_new_comes_last(workspace):
    made, (first, second) = take(), (utterance("1"), utterance("2"))
    workspace.add_take(made)
    workspace.add_utterance(first)
    workspace.add_utterance(second)
    workspace.add_utterance(utterance("made", origin="generated", id=made.id))  # the take is older, its point is new
    assert list(workspace.utterances) == [first.id, second.id, made.id]
    workspace.remove_utterance(first.id)
    workspace.add_utterance(first)
    assert list(workspace.utterances) == [first.id, second.id, made.id]
