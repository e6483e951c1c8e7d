import numpy as np
import pytest
from PyQt5.QtCore import QPoint, Qt

from core.audio.mel import mel_spectrogram
from core.types import PROJECT_MEL, Alignment, Mel, MelFormat, Waveform
from toolbox.widgets.plot_theme import colour_table, theme, ticks
from toolbox.widgets.spectrogram_view import SpectrogramView, decibels


def pixels(widget):
    """What the widget looks like: uint8 (height, width, 3)."""
    image = widget.grab().toImage().convertToFormat(4)  # RGB32
    raw = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return raw.reshape(image.height(), image.width(), 4)[:, :, 2::-1].copy()


def tone(hz, seconds=1.0, silence=0.0):
    t = np.arange(int(seconds * 16000)) / 16000
    samples = np.concatenate([np.zeros(int(silence * 16000)), 0.5 * np.sin(2 * np.pi * hz * t)])
    return mel_spectrogram(Waveform(samples, 16000), PROJECT_MEL)


@pytest.fixture
def view(qtbot):
    view = SpectrogramView()
    qtbot.addWidget(view)
    view.resize(700, 300)
    view.show()
    return view


@pytest.mark.parametrize("hz", [500, 1000, 3000])
@pytest.mark.parametrize("dark", [False, True])
def test_a_tones_ridge_lies_at_its_tick(view, hz, dark):
    view.apply_theme(dark)
    view.show_mel(tone(hz))
    box = view.plot_box()
    column = pixels(view)[:, int(box.center().x())].astype(int)
    inside = column[int(box.top()) + 2 : int(box.bottom()) - 1]
    loudest = colour_table(dark)[-1].astype(int)
    ridge = int(box.top()) + 2 + int(np.abs(inside - loudest).sum(axis=1).argmin())
    band = box.height() / 80
    assert abs(ridge - view.hz_to_y(hz)) <= band + 1
    label = f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz"
    at = {text: y for y, text in view.frequency_ticks()}
    assert abs(ridge - at[label]) <= band + 1


def test_the_time_axis_says_when(view):
    view.show_mel(tone(1000, 1.0, silence=1.0))  # sound begins at 1 s
    box = view.plot_box()
    row = pixels(view)[int(view.hz_to_y(1000)), int(box.left()) + 2 : int(box.right()) - 2].astype(int)
    contrast = np.abs(row - row[5]).sum(axis=1)
    onset = int(box.left()) + 2 + int((contrast > contrast.max() / 2).argmax())
    places = {label: x for x, label in view.time_ticks()}
    assert abs(onset - places["1 s"]) < 0.04 / 2 * box.width()  # half a window
    assert abs(view.x_to_time(view.time_to_x(0.7)) - 0.7) < 1e-9
    assert abs(view.y_to_hz(view.hz_to_y(1234)) - 1234) < 1e-3


def test_labels_do_not_touch(view):
    view.show_mel(tone(1000, 30.0))
    for width, height in ((240, 130), (700, 300), (1600, 700)):
        view.resize(width, height)
        ys = [y for y, _ in view.frequency_ticks()]
        assert len(ys) >= 2 and min(np.diff(ys)) >= view.line_height()
        xs = [x for x, _ in view.time_ticks()]
        assert len(xs) >= 2 and min(np.diff(xs)) >= 30


def test_a_click_asks_for_its_second(view, qtbot):
    view.show_mel(tone(500, 2.0))
    with qtbot.waitSignal(view.seek_requested) as asked:
        qtbot.mouseClick(view, Qt.LeftButton, pos=QPoint(round(view.time_to_x(1.5)), 150))
    assert asked.args[0] == pytest.approx(1.5, abs=0.01)


def test_the_playhead_moves_without_drawing_the_picture_again(view, monkeypatch):
    view.show_mel(tone(500, 2.0))
    pixels(view)
    drawn = []
    monkeypatch.setattr(view, "paint_still", lambda painter: drawn.append(1))
    before = pixels(view)
    for k in range(30):
        view.set_playhead(k / 15)
    after = pixels(view)
    assert not drawn
    changed = np.flatnonzero((before != after).any(axis=(0, 2)))
    assert abs(changed.mean() - view.time_to_x(29 / 15)) < 3 and len(changed) <= 16
    view.set_playhead(None)
    np.testing.assert_array_equal(pixels(view), before)


def test_another_sound_forgets_the_playhead_and_the_zoom(view):
    view.show_mel(tone(500, 4.0))
    view._show_span(1.0, 2.0)
    view.set_playhead(1.5)
    view.show_mel(tone(700, 3.0))
    assert view.playhead is None and view._span == (0.0, view.mel.seconds)


def test_a_zoomed_view_turns_the_page_with_the_playhead(view):
    view.show_mel(tone(500, 4.0))
    view._show_span(0.0, 1.0)
    view.set_playhead(1.4)
    assert view.plot_box().left() <= view.time_to_x(1.4) <= view.plot_box().right()


def test_words_are_drawn_above(view):
    mel = tone(500, 3.0)
    view.show_mel(mel)
    plain_top = view.plot_box().top()
    view.show_mel(mel, "take", Alignment((), (), (), (("hello", 0.2, 0.6), ("world", 0.8, 1.4))))
    assert view.plot_box().top() > plain_top
    assert view.words.heard_at(0.3) == "hello" and view.words.heard_at(0.7) == ""
    picture = pixels(view)
    strip = picture[int(plain_top) : int(view.plot_box().top()) - 1]
    left, right = int(view.time_to_x(0.8)), int(view.time_to_x(1.4))
    assert (strip[:, left:right] != strip[0, 0]).any()  # "world"
    assert (strip[:, int(view.time_to_x(2)) : int(view.time_to_x(2.8))] == strip[0, 0]).all()


def test_empty_single_frame_and_very_long(view):
    blank = pixels(view)
    assert (blank != blank[0, 0]).any()  # it says what to do
    assert view.is_empty()
    view.set_playhead(1.0)
    for frames in (np.full((80, 1), -11.5), np.zeros((80, 0)), np.full((80, 60_000), -11.5)):
        view.show_mel(Mel(frames, PROJECT_MEL))
        assert np.isfinite(pixels(view)).all()
    view.clear()
    np.testing.assert_array_equal(pixels(view), blank)


def test_themes_differ_and_come_back(view):
    view.show_mel(tone(500, 1.0))
    light = pixels(view)
    view.apply_theme(True)
    dark = pixels(view)
    assert light[2, 2].mean() > 200 and dark[2, 2].mean() < 80
    view.apply_theme(False)
    np.testing.assert_array_equal(pixels(view), light)


def test_the_same_sound_looks_the_same_in_any_scale():
    magnitude = np.random.default_rng(0).uniform(0.01, 1, (80, 40))
    log = Mel(np.log(magnitude), MelFormat())
    energy = Mel(np.log(magnitude**2), MelFormat(power=2.0))
    db = Mel(20 * np.log10(magnitude), MelFormat(compression="db"))
    plain = Mel(magnitude, MelFormat(compression="none"))
    for other in (energy, db, plain):
        np.testing.assert_allclose(decibels(other), decibels(log), atol=1e-3)
    assert decibels(log).max() == 0


@pytest.mark.parametrize("dark", [False, True])
def test_louder_is_always_lighter_or_always_darker(dark):
    luminance = colour_table(dark).astype(float) @ [0.2126, 0.7152, 0.0722]
    steps = np.diff(luminance)
    assert (steps >= -0.01).all() if dark else (steps <= 0.01).all()
    assert abs(luminance[-1] - luminance[0]) > 190
    assert theme(dark).dark is dark


def test_ticks_are_round():
    assert ticks(0, 5.2, 6) == [0, 1, 2, 3, 4, 5]
    assert ticks(0.1, 0.52, 5) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert ticks(0, 0, 5) == []
