import math

import numpy as np
import pytest
from PyQt5.QtCore import QEvent, QPoint
from PyQt5.QtGui import QHelpEvent
from PyQt5.QtWidgets import QApplication, QToolTip

from core.types import Embedding
from toolbox.widgets.embedding_view import EmbeddingView, as_square
from toolbox.widgets.plot_theme import colour_table


def pixels(widget):
    image = widget.grab().toImage().convertToFormat(4)
    raw = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return raw.reshape(image.height(), image.width(), 4)[:, :, 2::-1].copy()


def voice(seed, space="ge2e-256", d=256):
    vector = np.abs(np.random.default_rng(seed).normal(size=d))
    return Embedding(vector / np.linalg.norm(vector), space)


@pytest.fixture
def view(qtbot):
    view = EmbeddingView()
    qtbot.addWidget(view)
    view.resize(300, 280)
    view.show()
    return view


@pytest.mark.parametrize("dark", [False, True])
def test_each_number_has_its_cell_and_colour(view, dark):
    view.apply_theme(dark)
    embedding = voice(0)
    view.show_embedding(embedding, "anna")
    picture, (box,) = pixels(view).astype(int), view.squares()
    low, high = view.limits()
    assert low == 0 and high == pytest.approx(float(embedding.vector.max()))
    for k in (0, 17, 100, 255):
        side = box.width() / 16
        x, y = box.left() + (k % 16 + 0.5) * side, box.top() + (k // 16 + 0.5) * side
        expected = colour_table(dark)[round(float(embedding.vector[k]) / high * 255)].astype(int)
        assert np.abs(picture[int(y), int(x)] - expected).max() <= 3


def test_cells_are_of_one_size(view):
    view.show_embedding(voice(0))
    for width, height in ((151, 163), (300, 280), (517, 433)):
        view.resize(width, height)
        assert view.squares()[0].width() % 16 == 0


def test_two_voices_share_the_colours_and_show_their_similarity(view):
    one, other = voice(0), voice(1)
    view.show_embedding(one, "anna", other, "take 1")
    first, second = view.squares()
    assert not first.intersects(second) and first.size() == second.size()
    assert view.similarity() == pytest.approx(one.similarity(other))
    assert second.right() < view.width()


def test_it_shows_how_alike_people_usually_are(view):
    view.show_embedding(voice(0), "anna", voice(1), "take 1")
    assert not view.notches(100) and not view.toolTip()
    plain = pixels(view).astype(int)
    view.show_embedding(voice(0), "anna", voice(1), "take 1", (0.25, 0.75))
    assert view.notches(200) == [50, 150] and "0.75" in view.toolTip() and "0.25" in view.toolTip()
    columns = np.flatnonzero((np.abs(pixels(view) - plain).sum(axis=2) > 30).any(axis=0))
    left, right = view.squares()[0].left(), view.squares()[-1].right()
    for share in (0.25, 0.75):
        assert np.abs(columns - (left + share * (right - left))).min() <= 1
    view.show_embedding(voice(0), "anna", None, "", (0.25, 0.75))
    assert not view.notches(100) and not view.toolTip()


def test_small_heat_maps_leave_the_similarity_its_name(view):
    view.resize(170, 290)  # as in a window of 800 lines with a notice in it
    view.show_embedding(voice(0), "anna", voice(1), "take 1", (0.25, 0.75))
    first, second = view.squares()
    left, right = view._sides([first, second])
    assert second.right() - first.left() < right - left <= 150
    assert view.caption(right - left) == "Similarity"


def test_what_is_usual_is_said_over_the_bar_alone(view):
    view.show_embedding(voice(0), "anna", voice(1), "take 1", (0.25, 0.75))
    for y, said in ((view.squares()[0].center().y(), False), (view.similarity_top() + 4, True)):
        place = QPoint(int(view.squares()[0].center().x()), int(y))
        QApplication.sendEvent(view, QHelpEvent(QEvent.ToolTip, place, view.mapToGlobal(place)))
        assert ("0.75" in QToolTip.text() and QToolTip.isVisible()) == said
    QToolTip.hideText()


def test_another_encoders_voice_is_not_compared(view):
    view.show_embedding(voice(0), "anna", voice(1, "other-256"), "take 1", (0.25, 0.75))
    assert view.similarity() is None and len(view.squares()) == 1 and not view.notches(100)


def test_the_cell_below_the_mouse_is_read_out(view, qtbot):
    embedding = voice(3)
    view.show_embedding(embedding)
    box = view.squares()[0]
    side = box.width() / 16
    qtbot.mouseMove(view, QPoint(int(box.left() + 4.5 * side), int(box.top() + 2.5 * side)))
    qtbot.waitUntil(lambda: view._cell() is not None)
    number, value, _ = view._cell()
    assert number == 36 and value == pytest.approx(float(embedding.vector[36]))


def test_empty_state_and_theme(view):
    blank = pixels(view)
    assert view.is_empty() and (blank != blank[0, 0]).any()
    view.show_embedding(voice(0))
    view.apply_theme(True)
    assert pixels(view)[2, 2].mean() < 80
    view.apply_theme(False)
    view.clear()
    np.testing.assert_array_equal(pixels(view), blank)


@pytest.mark.parametrize("d", [1, 192, 256])
def test_any_size_is_a_square(view, d):
    assert as_square(np.arange(d)).size >= d
    view.show_embedding(Embedding(np.full(d, d**-0.5), "x"))
    pixels(view)


def test_a_flat_embedding_is_drawn(view):
    view.show_embedding(Embedding(np.zeros(256), "x"))
    pixels(view)


@pytest.mark.parametrize("ratio", [1.0, 1.0416, 1.25, 1.5])
def test_no_column_of_the_screen_is_left_unpainted(view, monkeypatch, ratio):
    monkeypatch.setattr(view, "devicePixelRatioF", lambda: ratio)
    for width in range(300, 320):
        view.resize(width, 301)
        view.redraw()
        view.grab()
        assert view._still.width() >= math.ceil(width * ratio) and view._still.height() >= math.ceil(301 * ratio)


def test_the_caption_leaves_the_number_its_room(qtbot):
    view = EmbeddingView()
    qtbot.addWidget(view)
    words = [view.caption(width) for width in range(10, 300, 5)]
    assert words[0] == "" and words[-1] == "Similarity" and "Alike" in words
    for width, word in zip(range(10, 300, 5), words, strict=True):
        assert not word or view.text_width(word) + view.text_width("0.00") < width
