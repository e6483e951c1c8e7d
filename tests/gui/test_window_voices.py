"""Voices come in: recorded, loaded, named, heard, removed."""

import numpy as np
import pytest
from PyQt5.QtCore import QMimeData, QPoint, Qt, QUrl
from PyQt5.QtGui import QDropEvent
from window_fakes import FakeDevice, tone

from core.errors import DeviceError
from core.types import Waveform
from toolbox.actions.voices import speaker_of
from toolbox.workspace import Voice


def record(qtbot, toolbox, settled):
    with qtbot.waitSignal(toolbox.sound.level):
        toolbox.window.record.button.click()
    toolbox.window.record.button.click()
    settled(toolbox)


def rows(toolbox):
    """The voice list as {speaker: [utterance, ...]}."""
    tree = toolbox.window.voices.tree
    tops = [tree.topLevelItem(i) for i in range(tree.topLevelItemCount())]
    return {top.text(0): [top.child(j).text(0) for j in range(top.childCount())] for top in tops}


def test_a_recording_becomes_an_utterance_at_the_devices_own_rate(qtbot, toolbox, devices, settled):
    toolbox.window.record.speaker.setText("Юрий")
    record(qtbot, toolbox, settled)
    (utterance,) = toolbox.workspace.utterances.values()
    assert utterance.origin == "recorded" and utterance.speaker == "Юрий"
    assert utterance.waveform.sample_rate == 44100
    np.testing.assert_array_equal(utterance.waveform.samples, devices.recording.samples)
    assert toolbox.workspace.selected_id == utterance.id
    assert toolbox.window.spectrogram.mel is utterance.mel
    assert toolbox.window.embedding.embedding is utterance.embedding
    assert utterance.id in toolbox.workspace.layout.ids
    assert toolbox.window.record.state == "idle"


def test_while_recording_the_panel_shows_level_time_and_clipping(qtbot, toolbox, devices):
    panel = toolbox.window.record
    with qtbot.waitSignal(toolbox.sound.level):
        panel.button.click()
    assert panel.button.text() == "Stop" and not panel.device.isEnabled()
    assert panel.meter.rms_db == -20.0 and panel.meter.clipping
    assert panel.time.text() == "0:02 / 1:00"
    panel.button.click()
    qtbot.waitUntil(lambda: panel.state == "idle")
    assert panel.button.text() == "Record" and not panel.meter.clipping


def test_a_full_recording_stops_by_itself(qtbot, toolbox, devices, settled):
    with qtbot.waitSignal(toolbox.sound.level):
        toolbox.window.record.button.click()
    devices.recorders[-1].running = False  # sixty seconds are over
    qtbot.waitUntil(lambda: toolbox.sound.state == "idle")
    settled(toolbox)
    assert len(toolbox.workspace.utterances) == 1


def test_the_chosen_microphone_is_used_and_remembered(qtbot, toolbox, devices, settled):
    choice = toolbox.window.record.device
    assert [choice.itemText(i) for i in range(choice.count())] == [
        "System default (Built-in)",
        "Built-in",
        "USB microphone",
    ]
    choice.setCurrentIndex(2)
    choice.activated.emit(2)
    record(qtbot, toolbox, settled)
    assert devices.chosen[-1].name == "USB microphone"
    assert toolbox.settings.text("sound/input") == "USB microphone"


def test_a_microphone_that_is_plugged_in_appears(qtbot, toolbox, devices):
    devices.microphones.append(FakeDevice(7, "Headset"))
    with qtbot.waitSignal(toolbox.sound.devices_changed):
        toolbox.sound.refresh_devices()
    assert toolbox.window.record.device.findText("Headset") >= 0
    devices.microphones.clear()
    with qtbot.waitSignal(toolbox.sound.devices_changed):
        toolbox.sound.refresh_devices()
    assert toolbox.window.record.device.currentText() == "No microphone found"


def test_several_files_of_two_speakers_are_listed_by_speaker(toolbox, load):
    for name in ("anna_1.wav", "anna_2.flac", "ben.ogg"):
        load(toolbox, name)
    assert rows(toolbox) == {"anna": ["anna_1", "anna_2"], "ben": ["ben"]}


@pytest.mark.parametrize(
    "name,speaker",
    [("anna_02.wav", "anna"), ("Юрий 3.flac", "Юрий"), ("1.wav", "1"), ("ben (2).mp3", "ben")],
)
def test_the_speaker_is_guessed_from_the_file_name(tmp_path, name, speaker):
    assert speaker_of(tmp_path / name) == speaker


def test_files_are_dropped_onto_the_window(qtbot, toolbox, tmp_path, settled):
    import soundfile

    paths = [tmp_path / "one.wav", tmp_path / "два.flac"]
    for path in paths:
        soundfile.write(path, tone().samples, 44100)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(QPoint(300, 300), Qt.CopyAction, mime, Qt.LeftButton, Qt.NoModifier)
    toolbox.window.dropEvent(event)
    settled(toolbox)
    assert rows(toolbox) == {"one": ["one"], "два": ["два"]}


def test_a_speaker_is_renamed_in_the_list(qtbot, toolbox, load):
    load(toolbox, "anna_1.wav")
    load(toolbox, "anna_2.wav")
    top = toolbox.window.voices.tree.topLevelItem(0)
    with qtbot.waitSignal(toolbox.workspace.utterance_changed):
        top.setText(0, "Анна")
    assert rows(toolbox) == {"Анна": ["anna_1", "anna_2"]}
    assert toolbox.workspace.voice == Voice("Анна")
    child = toolbox.window.voices.tree.topLevelItem(0).child(1)
    with qtbot.waitSignal(toolbox.workspace.utterance_changed):
        child.setText(0, "laughing")
    assert rows(toolbox) == {"Анна": ["anna_1", "laughing"]}


def test_an_empty_name_is_no_name(qtbot, toolbox, load):
    load(toolbox, "anna.wav")
    toolbox.window.voices.tree.topLevelItem(0).setText(0, "  ")
    qtbot.waitUntil(lambda: rows(toolbox) == {"anna": ["anna"]})


def test_an_utterance_is_heard_with_a_playhead(qtbot, toolbox, load, devices):
    (id,) = load(toolbox)
    toolbox.window.voices.play.click()
    qtbot.waitUntil(lambda: bool(devices.players) and devices.players[-1].ended)
    player = devices.players[-1]
    np.testing.assert_array_equal(player.samples, toolbox.workspace.utterances[id].waveform.samples)
    assert toolbox.workspace.playing_id == id
    player.position = 0.75
    qtbot.waitUntil(lambda: toolbox.window.spectrogram.playhead == 0.75)
    player.playing = False  # all was heard
    qtbot.waitUntil(lambda: toolbox.workspace.playing_id is None)
    assert toolbox.window.spectrogram.playhead is None


def test_space_plays_and_stops(qtbot, toolbox, load, devices):
    load(toolbox)
    qtbot.keyClick(toolbox.window, Qt.Key_Space)
    qtbot.waitUntil(lambda: bool(devices.players) and devices.players[-1].playing)
    qtbot.keyClick(toolbox.window, Qt.Key_Space)
    qtbot.waitUntil(lambda: devices.players[-1].stopped)
    assert toolbox.workspace.playing_id is None


def test_a_click_in_the_spectrogram_plays_from_there(qtbot, toolbox, load, devices):
    load(toolbox)
    toolbox.window.spectrogram.seek_requested.emit(0.5)
    toolbox.window.spectrogram.seek_requested.emit(1.5)
    qtbot.waitUntil(lambda: bool(devices.players) and devices.players[-1].ended)
    assert len(devices.players) == 1
    assert len(devices.players[0].samples) == pytest.approx(0.5 * 44100, abs=2)


def test_removing_and_undoing(qtbot, toolbox, load, texts):
    load(toolbox, "anna_1.wav")
    (second,) = load(toolbox, "anna_2.wav")
    toolbox.window.menus.actions["Remove"].trigger()
    assert rows(toolbox) == {"anna": ["anna_1"]}
    assert "Removed anna_2." in texts(toolbox)
    toolbox.window.menus.actions["Undo removal"].trigger()
    assert rows(toolbox) == {"anna": ["anna_1", "anna_2"]}
    assert toolbox.workspace.selected_id == second


def test_removing_a_speaker_removes_all_of_them(qtbot, toolbox, load):
    load(toolbox, "anna_1.wav")
    load(toolbox, "anna_2.wav")
    load(toolbox, "ben.wav")
    tree = toolbox.window.voices.tree
    tree.setCurrentItem(tree.topLevelItem(0))
    toolbox.window.voices.remove.click()
    assert rows(toolbox) == {"ben": ["ben"]}
    assert toolbox.workspace.voice == Voice("ben")


def test_what_comes_back_stands_where_it_stood(qtbot, toolbox, load):
    for name in ("anna_1.wav", "anna_2.wav", "ben.wav", "carl.wav"):
        load(toolbox, name)
    tree, undo = toolbox.window.voices.tree, toolbox.window.menus.actions["Undo removal"]
    before, speaker = rows(toolbox), tree.topLevelItem(0)
    tree.setCurrentItem(speaker)
    assert toolbox.workspace.voice == Voice("anna")
    toolbox.window.voices.remove.click()
    assert toolbox.workspace.voice != Voice("anna")
    undo.trigger()
    assert list(rows(toolbox).items()) == list(before.items())
    assert toolbox.workspace.voice == Voice("anna")


def test_bringing_back_leaves_the_voice_that_was_chosen_meanwhile(qtbot, toolbox, load):
    for name in ("anna.wav", "ben.wav", "carl.wav"):
        load(toolbox, name)
    toolbox.window.voices.remove.click()
    assert toolbox.workspace.voice == Voice("anna")
    toolbox.workspace.set_voice(Voice("ben"))
    toolbox.window.menus.actions["Undo removal"].trigger()
    assert toolbox.workspace.voice == Voice("ben")


def test_fifteen_speakers_and_more(toolbox, load):
    for i in range(16):
        load(toolbox, f"voice{'abcdefghijklmnop'[i]}.wav", tone(1.0, 100 + 20 * i))
    assert len(rows(toolbox)) == 16
    assert len({toolbox.workspace.speaker_colour(s) for s in rows(toolbox)}) == 16


def test_a_click_on_the_map_selects_and_changes_the_voice(toolbox, load):
    (anna,) = load(toolbox, "anna.wav")
    load(toolbox, "ben.wav", tone(hz=120))
    assert toolbox.workspace.voice == Voice("ben")
    toolbox.window.map.utterance_selected.emit(anna)
    assert toolbox.workspace.selected_id == anna and toolbox.workspace.voice == Voice("anna")
    assert toolbox.window.voices.tree.currentItem().text(0) == "anna"


def test_enter_in_the_name_records_and_space_stops(qtbot, toolbox, settled):
    toolbox.window.record.speaker.setFocus()
    qtbot.keyClicks(toolbox.window.record.speaker, "Rita")
    with qtbot.waitSignal(toolbox.sound.level):
        qtbot.keyClick(toolbox.window.record.speaker, Qt.Key_Return)
    assert not toolbox.window.record.speaker.hasFocus()
    qtbot.keyClick(toolbox.window, Qt.Key_Space)
    settled(toolbox)
    assert list(rows(toolbox)) == ["Rita"]


@pytest.mark.parametrize("state", ["opening", "recording"])
def test_the_window_is_closed_while_it_records(qtbot, toolbox, devices, state):
    if state == "recording":
        with qtbot.waitSignal(toolbox.sound.level):
            toolbox.window.record.button.click()
    else:
        toolbox.window.record.button.click()
    with qtbot.waitSignal(toolbox.closed, timeout=5000):
        toolbox.window.close()
    assert all(lane.has_stopped for lane in toolbox.lanes.values())
    assert not devices.recorders[-1].running


# --- bad input ------------------------------------------------------------------------------------------------------


def test_a_muted_microphone_is_said_and_the_next_recording_works(qtbot, toolbox, devices, settled, texts):
    devices.recording = Waveform(np.zeros(44100), 44100)
    record(qtbot, toolbox, settled)
    assert "only silence" in texts(toolbox) and not toolbox.workspace.utterances
    devices.recording = tone()
    record(qtbot, toolbox, settled)
    assert len(toolbox.workspace.utterances) == 1 and "only silence" not in texts(toolbox)


def test_a_recording_that_is_too_short_is_said(qtbot, toolbox, devices, settled, texts):
    devices.recording = tone(0.2)
    record(qtbot, toolbox, settled)
    assert "half a second" in texts(toolbox) and not toolbox.workspace.utterances
    assert toolbox.window.record.button.isEnabled()


def test_an_empty_recording_is_said(qtbot, toolbox, devices, settled, texts):
    devices.recording = Waveform(np.zeros(0), 44100)
    record(qtbot, toolbox, settled)
    assert "Nothing was recorded" in texts(toolbox)


def test_a_device_unplugged_while_recording_keeps_what_was_heard(qtbot, toolbox, devices, settled, texts):
    with qtbot.waitSignal(toolbox.sound.level):
        toolbox.window.record.button.click()
    devices.recorders[-1].error = DeviceError("The microphone was unplugged.", "What was recorded until then is kept.")
    devices.recorders[-1].running = False
    qtbot.waitUntil(lambda: toolbox.sound.state == "idle")
    settled(toolbox)
    assert "was unplugged" in texts(toolbox)
    assert len(toolbox.workspace.utterances) == 1
    record(qtbot, toolbox, settled)
    assert len(toolbox.workspace.utterances) == 2


def test_a_chosen_microphone_that_is_gone_is_said_and_the_default_one_records(qtbot, toolbox, devices, settled, texts):
    toolbox.sound.input_name = "Headset"
    toolbox._on_devices()
    assert toolbox.window.record.device.currentText() == "Headset (not connected)"
    record(qtbot, toolbox, settled)
    assert "Headset is not connected" in texts(toolbox)
    assert devices.chosen == [None] and len(toolbox.workspace.utterances) == 1


def test_no_sound_card_is_said_and_files_still_work(qtbot, make_toolbox, devices, load, texts):
    devices.missing = True
    toolbox = make_toolbox()
    assert toolbox.window.record.device.currentText() == "No microphone found"
    with qtbot.waitSignal(toolbox.sound.failed):
        toolbox.window.record.button.click()
    assert "no microphone" in texts(toolbox)
    assert toolbox.window.record.state == "idle" and toolbox.window.record.button.isEnabled()
    (id,) = load(toolbox)
    with qtbot.waitSignal(toolbox.sound.failed):
        toolbox.actions.play(id)
    assert "no loudspeaker" in texts(toolbox) and toolbox.workspace.playing_id is None


@pytest.mark.parametrize(
    "make,said",
    [
        (lambda path: path.write_bytes(b""), "bad.wav"),
        (lambda path: path.write_text("this is no sound"), "bad.wav"),
        (lambda path: path.mkdir(), "folder"),
        (lambda path: None, "bad.wav"),
    ],
    ids=["empty", "text", "folder", "vanished"],
)
def test_what_is_no_sound_file_is_said_and_the_next_one_loads(toolbox, load, tmp_path, settled, texts, make, said):
    path = tmp_path / "bad.wav"
    make(path)
    toolbox.actions.voices.load([path])
    settled(toolbox)
    assert said in texts(toolbox) and not toolbox.workspace.utterances
    assert load(toolbox, "good.wav")


def test_a_silent_file_among_good_ones_stops_none_of_them(toolbox, load, tmp_path, settled, texts):
    import soundfile

    for name, samples in (("one.wav", tone().samples), ("still.wav", np.zeros(44100)), ("two.wav", tone().samples)):
        soundfile.write(tmp_path / name, samples, 44100)
    toolbox.actions.voices.load([tmp_path / name for name in ("one.wav", "still.wav", "two.wav")])
    settled(toolbox)
    assert set(rows(toolbox)) == {"one", "two"}
    assert "still" in texts(toolbox)


@pytest.mark.parametrize(
    "rate,channels,subtype",
    [(96000, 1, "PCM_24"), (8000, 1, "PCM_U8"), (44100, 2, "PCM_16"), (48000, 6, "FLOAT")],
    ids=["24 bit 96 kHz", "8 bit 8 kHz", "stereo", "six channels"],
)
def test_any_format_is_welcome(toolbox, tmp_path, settled, rate, channels, subtype):
    import soundfile

    samples = np.repeat(tone(rate=rate).samples[:, None], channels, axis=1)
    path = tmp_path / "голос.wav"
    soundfile.write(path, samples, rate, subtype=subtype)
    toolbox.actions.voices.load([path])
    settled(toolbox)
    (utterance,) = toolbox.workspace.utterances.values()
    assert utterance.speaker == "голос" and utterance.waveform.sample_rate == rate
    assert utterance.waveform.seconds == pytest.approx(2.0, abs=0.01)


def test_a_truncated_mp3_gives_what_it_holds_or_says_so(toolbox, tmp_path, settled, texts):
    import soundfile

    path = tmp_path / "cut.mp3"
    soundfile.write(path, tone(4.0).samples, 44100, format="MP3")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 7])
    toolbox.actions.voices.load([path])
    settled(toolbox)
    assert toolbox.workspace.utterances or "cut.mp3" in texts(toolbox)
