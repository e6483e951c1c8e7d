"""Words above the spectrogram: pointed at, clicked, reached with the keyboard, and heard alone."""

import numpy as np
import pytest
from PyQt5.QtCore import QEvent, QPoint, Qt
from PyQt5.QtGui import QHelpEvent
from PyQt5.QtWidgets import QApplication, QToolTip

from toolbox.sound import CUT_FADE

TEXT = "The first sentence is here.\n\nThe second one follows it.\nAnd here is the third."


@pytest.fixture
def spoken(qtbot, toolbox, load, settled):
    """A toolbox that shows a take of three lines, as wide as its words need."""
    load(toolbox, "anna_1.wav")
    toolbox.window.resize(1900, 900)
    toolbox.window.speak.text.setPlainText(TEXT)
    toolbox.window.speak.speak.click()
    settled(toolbox)
    toolbox.sound.stop()
    settled(toolbox)
    return toolbox


def take_of(toolbox):
    return toolbox.workspace.takes[toolbox.workspace.shown_id]


def place(view, number) -> QPoint:
    """The middle of where a word is written."""
    return next(box.center().toPoint() for k, box, _ in view.words.labels() if k == number)


def assert_heard(player, take, number):
    """The player was fed the word's own samples, faded at both ends, and nothing else."""
    _, start, end = take.alignment.words[number]
    rate = take.waveform.sample_rate
    span = take.waveform.samples[round(start * rate) : round(end * rate)]
    edge = round(CUT_FADE * rate)
    assert player.ended and player.sample_rate == rate and len(player.samples) == len(span) > 2 * edge
    np.testing.assert_array_equal(player.samples[edge:-edge], span[edge:-edge])
    assert (np.abs(player.samples[:edge]) <= np.abs(span[:edge])).all()
    assert max(abs(player.samples[0]), abs(player.samples[-1])) < 1e-3 * np.abs(span).max()


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_a_click_on_any_word_of_any_line_plays_that_word_alone(qtbot, spoken, devices, settled, speed):
    spoken.window.speak.speed.setValue(speed)
    spoken.window.speak.speak.click()
    settled(spoken)
    take, view = take_of(spoken), spoken.window.spectrogram
    assert take.alignment.words[4][2] == pytest.approx(2.2 / speed)  # 22 letters of 0.1 s
    assert [word for word, _, _ in take.alignment.words] == TEXT.split()
    for number in (0, 4, 5, 9, 14):
        qtbot.mouseClick(view, Qt.LeftButton, pos=place(view, number))
        settled(spoken)
        assert_heard(devices.players[-1], take, number)
        assert spoken.workspace.playing_id == take.id
    assert all(player.stopped for player in devices.players[:-1])  # one sound at a time


def test_the_playhead_runs_inside_the_word(qtbot, spoken, devices, settled):
    take, view = take_of(spoken), spoken.window.spectrogram
    qtbot.mouseClick(view, Qt.LeftButton, pos=place(view, 6))
    settled(spoken)
    devices.players[-1].position = 0.125
    qtbot.waitUntil(lambda: view.playhead == pytest.approx(take.alignment.words[6][1] + 0.125))
    devices.players[-1].playing = False
    qtbot.waitUntil(lambda: spoken.workspace.playing_id is None and view.playhead is None)


def test_a_click_in_the_picture_still_plays_from_there(qtbot, spoken, devices, settled):
    take, view = take_of(spoken), spoken.window.spectrogram
    qtbot.mouseClick(view, Qt.LeftButton, pos=place(view, 3))
    qtbot.mouseClick(view, Qt.LeftButton, pos=QPoint(round(view.time_to_x(1.0)), round(view.plot_box().center().y())))
    qtbot.waitUntil(lambda: len(devices.players) == 3 and devices.players[-1].ended)
    assert len(devices.players[-1].samples) == pytest.approx(len(take.waveform.samples) - 16000, abs=200)


def test_a_word_pressed_right_after_a_place_wins(qtbot, spoken, devices, settled):
    view = spoken.window.spectrogram
    qtbot.mouseClick(view, Qt.LeftButton, pos=QPoint(round(view.time_to_x(1.0)), round(view.plot_box().center().y())))
    qtbot.mouseClick(view, Qt.LeftButton, pos=place(view, 2))
    qtbot.wait(200)  # longer than a place waits to be played
    assert_heard(devices.players[-1], take_of(spoken), 2)


def test_what_points_at_a_word_marks_it_and_says_what_it_is(qtbot, spoken):
    take, view = take_of(spoken), spoken.window.spectrogram
    word, start, end = take.alignment.words[7]
    plain = view.grab().toImage()
    qtbot.mouseMove(view, place(view, 7))
    assert view.words.marked == 7 and view.cursor().shape() == Qt.PointingHandCursor
    marked = view.grab().toImage()
    y = int(view.plot_box().center().y())
    changed = [x for x in range(view.width()) if plain.pixel(x, y) != marked.pixel(x, y)]
    assert min(changed) == pytest.approx(view.time_to_x(start), abs=2)
    assert max(changed) == pytest.approx(view.time_to_x(end), abs=2)
    point = place(view, 7)
    QApplication.sendEvent(view, QHelpEvent(QEvent.ToolTip, point, view.mapToGlobal(point)))
    assert QToolTip.text() == f"{word} · {' '.join(word)} · {start:.2f}–{end:.2f} s\nClick to hear it"
    qtbot.mouseMove(view, view.plot_box().center().toPoint())
    assert view.words.marked is None and view.cursor().shape() == Qt.IBeamCursor
    QToolTip.hideText()


def test_words_are_reached_and_heard_with_the_keyboard(qtbot, spoken, devices, settled):
    take, window, view = take_of(spoken), spoken.window, spoken.window.spectrogram
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    assert view.focusPolicy() & Qt.TabFocus
    view.setFocus(Qt.TabFocusReason)
    assert view.words.marked == 0
    for key, expected in ((Qt.Key_Left, 0), (Qt.Key_Right, 1), (Qt.Key_End, 14), (Qt.Key_Right, 14), (Qt.Key_Left, 13)):
        qtbot.keyClick(view, key)
        assert view.words.marked == expected
    assert view.accessibleDescription() == view.words.describe(13)
    qtbot.keyClick(view, Qt.Key_Return)
    settled(spoken)
    assert_heard(devices.players[-1], take, 13)
    qtbot.keyClick(view, Qt.Key_Space)  # the window's own key
    assert spoken.workspace.playing_id is None
    window.speak.text.setFocus()
    assert view.words.marked is None


def test_a_zoomed_view_turns_to_the_word_the_keys_have_come_to(qtbot, spoken):
    take, view = take_of(spoken), spoken.window.spectrogram
    view._show_span(0.0, 1.0)
    spoken.window.activateWindow()
    qtbot.waitUntil(spoken.window.isActiveWindow)
    view.setFocus(Qt.TabFocusReason)
    qtbot.keyClick(view, Qt.Key_End)
    _, start, _ = take.alignment.words[-1]
    assert view.plot_box().left() <= view.time_to_x(start) <= view.plot_box().right()


def test_a_word_of_a_take_without_sound_says_so(qtbot, spoken, devices, settled, texts):
    spoken.window.speak.synthesize.click()
    settled(spoken)
    played, view = len(devices.players), spoken.window.spectrogram
    qtbot.mouseClick(view, Qt.LeftButton, pos=place(view, 1))
    settled(spoken)
    assert "no sound yet" in texts(spoken) and len(devices.players) == played


def test_a_recording_has_no_words_and_takes_no_keys(qtbot, spoken):
    view = spoken.window.spectrogram
    recorded = next(u.id for u in spoken.workspace.utterances.values() if u.origin == "file")
    spoken.workspace.select(recorded)
    assert not view.words.labels() and view.focusPolicy() == Qt.NoFocus and view.words.marked is None
