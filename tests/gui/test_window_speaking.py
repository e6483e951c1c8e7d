"""Text becomes takes: heard while they are made, cancelled at once, the same for the same seed, exported, removed."""

import time

import numpy as np
import pytest
from PyQt5.QtCore import Qt
from window_fakes import tone

from core.errors import ModelError
from core.types import SpeakOptions
from toolbox.actions.speaking import TUNE_AFTER

TEXT = "The first sentence is here.\n\nThe second one follows it.\nAnd here is the third."


@pytest.fixture
def ready(toolbox, load):
    load(toolbox, "anna_1.wav")
    load(toolbox, "anna_2.wav")
    return toolbox


def speak(qtbot, toolbox, settled, text=TEXT):
    toolbox.window.speak.text.setPlainText(text)
    toolbox.window.speak.speak.click()
    settled(toolbox)


def test_one_click_makes_a_take_and_plays_it(qtbot, ready, devices, settled):
    speak(qtbot, ready, settled)
    (take,) = ready.workspace.takes.values()
    player = devices.players[-1]
    assert player.sample_rate == take.waveform.sample_rate and player.ended
    np.testing.assert_array_equal(player.samples, take.waveform.samples)
    assert ready.workspace.playing_id == take.id == ready.workspace.shown_id
    assert take.receipt.utterance_ids == tuple(u.id for u in ready.workspace.utterances_of("anna"))
    assert ready.window.spectrogram.mel is take.mel
    ready.window.takes.list.itemWidget(ready.window.takes.list.item(0)).play.click()
    assert ready.workspace.playing_id is None


def test_the_take_stands_on_the_map_beside_its_speaker(qtbot, ready, settled):
    speak(qtbot, ready, settled)
    (id,) = ready.workspace.takes
    generated = ready.workspace.utterances[id]
    assert generated.origin == "generated" and generated.speaker == "anna"
    assert id in ready.workspace.layout.ids and id in ready.window.map.drawn_ids()
    assert ready.workspace.selected_id == id
    assert len(ready.workspace.utterances_of("anna")) == 2
    assert ready.window.voices.tree.topLevelItem(0).childCount() == 2


def test_the_first_sentence_is_heard_while_the_rest_is_made(qtbot, make_toolbox, load, devices, settled):
    toolbox = make_toolbox(delay=0.01)
    load(toolbox)
    toolbox.window.speak.text.setPlainText("Short. " + "This one takes a good deal longer to make. " * 8)
    toolbox.window.speak.speak.click()
    qtbot.waitUntil(lambda: bool(devices.players) and devices.players[-1].first.is_set())
    assert not toolbox.workspace.takes and toolbox.window.jobs.busy
    assert toolbox.workspace.playing_id == "pending"
    settled(toolbox)
    (take,) = toolbox.workspace.takes.values()
    np.testing.assert_array_equal(devices.players[-1].samples, take.waveform.samples)
    assert toolbox.workspace.playing_id == take.id


def test_cancel_takes_effect_within_a_quarter_of_a_second(qtbot, make_toolbox, load, devices, settled):
    toolbox = make_toolbox(delay=0.01)
    load(toolbox)
    toolbox.window.speak.text.setPlainText("This goes on and on. " * 100)
    toolbox.window.speak.speak.click()
    qtbot.waitUntil(lambda: bool(devices.players) and devices.players[-1].first.is_set())
    qtbot.waitUntil(toolbox.window.jobs.cancel.isVisible)
    asked = time.monotonic()
    toolbox.window.jobs.cancel.click()
    assert not toolbox.window.jobs.busy and toolbox.window.jobs.label.text() == "Ready"
    after = toolbox.lanes["models"].submit("the lane is free again", lambda report: time.monotonic())
    with qtbot.waitSignal(after.succeeded) as blocker:
        pass
    assert blocker.args[0] - asked < 0.25
    qtbot.waitUntil(lambda: devices.players[-1].stopped)
    assert not toolbox.workspace.takes and toolbox.workspace.playing_id is None
    speak(qtbot, toolbox, settled, "It still works.")
    assert len(toolbox.workspace.takes) == 1


def test_the_same_seed_gives_the_same_samples(qtbot, ready, settled):
    ready.window.speak.seed.setValue(7)
    speak(qtbot, ready, settled)
    speak(qtbot, ready, settled)
    ready.window.speak.seed.setValue(8)
    speak(qtbot, ready, settled)
    first, second, third = ready.workspace.takes.values()
    np.testing.assert_array_equal(first.mel.frames, second.mel.frames)
    np.testing.assert_array_equal(first.waveform.samples, second.waveform.samples)
    assert not np.array_equal(first.mel.frames, third.mel.frames)
    assert [take.receipt.seed for take in ready.workspace.takes.values()] == [7, 7, 8]


def test_a_random_seed_is_shown_and_kept_in_the_receipt(qtbot, ready, settled):
    ready.window.speak.random.setChecked(True)
    speak(qtbot, ready, settled)
    speak(qtbot, ready, settled)
    first, second = ready.workspace.takes.values()
    assert first.receipt.seed != second.receipt.seed
    assert ready.window.speak.seed.value() == second.receipt.seed
    assert not ready.window.speak.seed.isEnabled()


@pytest.fixture
def tuned(toolbox, monkeypatch):
    """The voices tuned to, in the models lane."""
    found = []
    monkeypatch.setattr(toolbox.tools.cloner, "tune", lambda voice, report=None: found.append(voice) or voice)
    return found


def test_a_voice_is_tuned_to_before_anybody_speaks(qtbot, toolbox, tuned, load):
    submitted = []
    toolbox.lanes["models"].submitted.connect(submitted.append)
    load(toolbox, "anna_1.wav")
    load(toolbox, "bert_1.wav", tone(hz=150.0))
    qtbot.waitUntil(lambda: bool(tuned))
    (bert,) = toolbox.workspace.utterances_of("bert")
    np.testing.assert_allclose(tuned[-1].vector, bert.embedding.vector, rtol=1e-5)
    assert all(job.quiet for job in submitted if job.verb == "tune") and not toolbox.window.jobs.busy
    tuned.clear()
    load(toolbox, "bert_2.wav", tone(hz=180.0))  # the voice is another now, and chosen still
    qtbot.waitUntil(lambda: bool(tuned))
    assert not np.allclose(tuned[-1].vector, bert.embedding.vector, rtol=1e-3)


def test_who_does_not_want_tuning_does_not_get_it_in_advance(qtbot, toolbox, tuned, load):
    toolbox.window.speak.tuned.setChecked(False)
    load(toolbox)
    qtbot.wait(2 * TUNE_AFTER)
    assert not tuned
    toolbox.window.speak.tuned.setChecked(True)
    qtbot.waitUntil(lambda: len(tuned) == 1)


def test_another_voice_ends_the_tuning_to_the_first(qtbot, toolbox, load, monkeypatch, texts):
    begun, ended = [], []

    def tune(voice, report):
        begun.append(voice)
        try:
            while True:
                report(0.5, "tuning")
                time.sleep(0.005)
        finally:
            ended.append(voice)

    load(toolbox, "anna_1.wav")
    monkeypatch.setattr(toolbox.tools.cloner, "tune", tune)
    toolbox.actions.speaking.tune_soon()
    qtbot.waitUntil(lambda: len(begun) == 1)
    monkeypatch.setattr(toolbox.tools.cloner, "tune", lambda voice, report: None)
    load(toolbox, "bert_1.wav", tone(hz=150.0))
    assert len(ended) == 1 and texts(toolbox).count("tun") == 0


def test_a_voice_that_cannot_be_tuned_to_is_said_by_who_speaks_not_before(qtbot, toolbox, load, monkeypatch, texts):
    def tune(voice, report=None):
        tried.append(voice)
        raise ModelError("voiceprint is damaged.", "Restore it.")

    tried = []
    monkeypatch.setattr(toolbox.tools.cloner, "tune", tune)
    load(toolbox)
    qtbot.waitUntil(lambda: bool(tried))
    qtbot.waitUntil(lambda: not toolbox.lanes["models"].jobs)
    assert "damaged" not in texts(toolbox)
    toolbox.window.speak.text.setPlainText("Hello.")
    toolbox.window.speak.speak.click()
    qtbot.waitUntil(lambda: "damaged" in texts(toolbox))


def test_the_likeness_of_a_tuned_take_is_not_oversold(qtbot, ready, settled):
    speak(qtbot, ready, settled)
    row = ready.window.takes.list.itemWidget(ready.window.takes.list.item(0))
    assert "likeness" in row.facts.text() and "others hear less" in row.toolTip()


def test_speed_variation_and_pitch_reach_the_request_and_are_remembered(qtbot, ready, make_toolbox, settled):
    ready.window.speak.speed.setValue(1.25)
    ready.window.speak.variation.setValue(0.2)
    ready.window.speak.pitch.setValue(-4)
    assert ready.window.speak.tuned.isChecked()  # whoever does not ask gets the better likeness
    ready.window.speak.tuned.setChecked(False)
    speak(qtbot, ready, settled)
    (take,) = ready.workspace.takes.values()
    assert take.receipt.options == SpeakOptions(1.25, 0.2, -4, tuned=False)
    assert ready.window.spectrogram.mel is take.heard
    receipt = ready.window.takes.list.itemWidget(ready.window.takes.list.item(0)).toolTip()
    assert "Pitch -4 semitones" in receipt and "Not tuned to the voice" in receipt
    with qtbot.waitSignal(ready.closed):
        ready.close()
    again = make_toolbox(started=False).window.speak
    assert (again.speed.value(), again.variation.value(), again.pitch.value()) == (1.25, 0.2, -4)


def test_synthesize_and_vocode_alone_give_what_one_click_gives(qtbot, ready, devices, settled):
    ready.window.speak.text.setPlainText(TEXT)
    ready.window.speak.synthesize.click()
    settled(ready)
    (take,) = ready.workspace.takes.values()
    assert take.waveform is None and not ready.window.takes.export.isEnabled() and not devices.players
    ready.window.speak.vocode.click()
    settled(ready)
    assert ready.workspace.takes[take.id].waveform is not None
    assert ready.window.takes.export.isEnabled()
    speak(qtbot, ready, settled)
    first, second = ready.workspace.takes.values()
    np.testing.assert_array_equal(first.waveform.samples, second.waveform.samples)


def test_one_utterance_alone_can_be_the_voice(qtbot, ready, settled):
    first = next(iter(ready.workspace.utterances))
    choice = ready.window.speak.voice
    labels = [choice.itemText(i) for i in range(choice.count())]
    assert labels == ["anna · average of 2", "anna · only anna_1", "anna · only anna_2"]
    choice.setCurrentIndex(1)
    choice.activated.emit(1)
    speak(qtbot, ready, settled)
    (take,) = ready.workspace.takes.values()
    assert take.receipt.utterance_ids == (first,)
    assert choice.currentText() == "anna · only anna_1"


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_take_is_exported(qtbot, ready, settled, tmp_path, texts, suffix):
    import soundfile

    speak(qtbot, ready, settled)
    (take,) = ready.workspace.takes.values()
    path = tmp_path / f"привет.{suffix}"
    ready.actions.speaking.export(take.id, path)
    settled(ready)
    samples, rate = soundfile.read(path)
    assert rate == take.waveform.sample_rate and len(samples) == pytest.approx(len(take.waveform.samples), abs=rate / 5)
    assert f"Saved привет.{suffix}" in texts(ready)


def test_an_export_that_fails_is_said_and_the_take_stays(qtbot, ready, settled, tmp_path, texts):
    speak(qtbot, ready, settled)
    (id,) = ready.workspace.takes
    ready.actions.speaking.export(id, tmp_path / "nowhere" / "x.wav")
    settled(ready)
    assert "nowhere does not exist" in texts(ready) and id in ready.workspace.takes


def test_a_take_is_removed_and_brought_back(qtbot, ready, settled):
    speak(qtbot, ready, settled)
    (id,) = ready.workspace.takes
    ready.window.menus.actions["Remove"].trigger()
    assert not ready.workspace.takes and id not in ready.workspace.utterances
    assert ready.window.takes.list.count() == 0
    ready.window.menus.actions["Undo removal"].trigger()
    assert id in ready.workspace.takes and id in ready.workspace.utterances
    assert ready.window.takes.list.count() == 1


def test_a_take_comes_back_between_its_neighbours(qtbot, ready, settled):
    for text in ("One.", "Two.", "Three."):
        speak(qtbot, ready, settled, text)
    first, second, third = ready.workspace.takes
    takes = ready.window.takes.list
    ready.workspace.select(second)
    ready.window.menus.actions["Remove"].trigger()
    ready.window.menus.actions["Undo removal"].trigger()
    assert list(ready.workspace.takes) == [first, second, third]
    assert [takes.itemWidget(takes.item(i)).id for i in range(3)] == [third, second, first]


def test_removing_after_a_click_on_a_speaker_means_the_speaker(qtbot, ready, load, settled):
    """The take was still shown, and went."""
    load(ready, "ben.wav", tone(hz=120))
    speak(qtbot, ready, settled)
    tree, takes = ready.window.voices.tree, ready.window.takes.list
    tree.setCurrentItem(tree.topLevelItem(0))
    ready.window.menus.actions["Remove"].trigger()
    assert len(ready.workspace.takes) == 1 and ready.workspace.speakers() == ["ben"]
    ready.window.menus.actions["Undo removal"].trigger()
    tree.setCurrentItem(tree.topLevelItem(0))
    ready.workspace.select(next(iter(ready.workspace.takes)))
    tree.setCurrentItem(tree.topLevelItem(0))  # and back to the take, which was shown all the time
    ready.window.activateWindow()
    takes.setFocus()
    qtbot.waitUntil(takes.hasFocus)
    ready.window.menus.actions["Remove"].trigger()
    assert not ready.workspace.takes and sorted(ready.workspace.speakers()) == ["anna", "ben"]


def test_ctrl_return_speaks_from_inside_the_text(qtbot, ready, settled):
    ready.window.activateWindow()
    qtbot.waitUntil(ready.window.isActiveWindow)
    ready.window.speak.text.setFocus()
    qtbot.keyClicks(ready.window.speak.text, "R is typed here.")
    qtbot.keyClick(ready.window.speak.text, Qt.Key_Return, Qt.ControlModifier)
    settled(ready)
    (take,) = ready.workspace.takes.values()
    assert take.text == "R is typed here." and ready.sound.state == "idle"


def test_renaming_the_speaker_reaches_the_takes(qtbot, ready, settled):
    speak(qtbot, ready, settled)
    (id,) = ready.workspace.takes
    ready.actions.voices.rename_speaker("anna", "Анна")
    assert ready.workspace.utterances[id].speaker == "Анна"
    assert "Анна" in ready.window.takes.list.itemWidget(ready.window.takes.list.item(0)).facts.accessibleName()


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   \n\n", "?!… — ()", "☃ 🎤"])
def test_text_with_nothing_to_speak_is_said(qtbot, ready, settled, texts, text):
    speak(qtbot, ready, settled, text)
    assert "nothing to speak" in texts(ready).lower() or "nothing in this text" in texts(ready).lower()
    assert not ready.workspace.takes
    speak(qtbot, ready, settled, "Something.")
    assert len(ready.workspace.takes) == 1 and "nothing to speak" not in texts(ready).lower()


def test_no_voice_is_said(qtbot, toolbox, settled, texts):
    speak(qtbot, toolbox, settled)
    assert "no voice" in texts(toolbox) and not toolbox.workspace.takes


def test_ten_thousand_characters_are_spoken(qtbot, ready, settled):
    text = ("All work and no play is dull. " * 400)[:10_000]
    speak(qtbot, ready, settled, text)
    (take,) = ready.workspace.takes.values()
    assert take.waveform.seconds > 60 and take.text == text


def test_without_a_loudspeaker_the_take_is_made_all_the_same(qtbot, ready, devices, settled, texts):
    devices.missing = True
    speak(qtbot, ready, settled)
    assert "no loudspeaker" in texts(ready)
    (take,) = ready.workspace.takes.values()
    assert take.waveform is not None and ready.workspace.playing_id is None


def test_the_voice_removed_while_it_speaks(qtbot, make_toolbox, load, settled):
    toolbox = make_toolbox(delay=0.005)
    (id,) = load(toolbox)
    toolbox.window.speak.text.setPlainText("This takes a little while to say.")
    toolbox.window.speak.speak.click()
    toolbox.actions.voices.remove([id])
    settled(toolbox)
    assert len(toolbox.workspace.takes) == 1


def test_clicking_speak_twice_makes_the_newer_take_only(qtbot, make_toolbox, load, settled):
    toolbox = make_toolbox(delay=0.005)
    load(toolbox)
    toolbox.window.speak.text.setPlainText("The older request, which is long enough to be cancelled.")
    toolbox.window.speak.speak.click()
    toolbox.window.speak.text.setPlainText("The newer.")
    toolbox.window.speak.speak.click()
    settled(toolbox)
    assert [take.text for take in toolbox.workspace.takes.values()] == ["The newer."]


def test_the_rows_of_the_takes_fit_a_window_made_narrower(qtbot, ready, settled):
    speak(qtbot, ready, settled)
    takes = ready.window.takes.list
    ready.window.resize(1900, 1000)
    qtbot.waitUntil(lambda: ready.window.width() == 1900)
    ready.window.resize(1280, 800)
    row = takes.itemWidget(takes.item(0))
    qtbot.waitUntil(lambda: row.width() <= takes.viewport().width(), timeout=1000)
