import numpy as np
import pytest
from fakes import FakeUmap
from PyQt5.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QMouseEvent
from PyQt5.QtWidgets import QApplication

from core.inference.projection import Layout, Projector
from core.types import PROJECT_MEL, Embedding, Mel, Utterance, Waveform, new_id
from toolbox.widgets.map_view_box import MapBox, label_box, pushed_apart
from toolbox.widgets.projection_view import REFERENCE, ProjectionView
from toolbox.workspace import References, Workspace

SPACE = "ge2e-256"
WAVE = Waveform(np.zeros(160), 16000)
MEL = Mel(np.zeros((80, 2)), PROJECT_MEL)


def vectors(n, seed=0):
    found = np.abs(np.random.default_rng(seed).normal(size=(n, 256))).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def utterance(vector, speaker="Anna", name="1.wav", origin="file", space=SPACE):
    return Utterance(new_id(), name, speaker, WAVE, MEL, Embedding(vector, space), vector[None], origin)


def arrange(workspace, projector=None):
    """What the projection lane does, at once."""
    references = workspace.references
    ids = [id for id, u in workspace.utterances.items() if u.embedding.encoder == SPACE]
    found = [workspace.utterances[id].embedding.vector for id in ids]
    if references is not None:
        ids += [REFERENCE + name for name in references.names]
        found += list(references.vectors)
    workspace.set_layout((projector or Projector(umap=FakeUmap())).project(ids, np.array(found).reshape(len(ids), -1)))


def pixels(widget):
    image = widget.grab().toImage().convertToFormat(4)
    raw = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return raw.reshape(image.height(), image.width(), 4)[:, :, 2::-1].copy()


def colour_at(widget, place):
    return QColor(widget.grab().toImage().pixel(round(place.x()), round(place.y()))).name()


@pytest.fixture
def workspace(qapp):
    return Workspace()


@pytest.fixture
def view(qtbot, workspace):
    view = ProjectionView(workspace)
    view._glide.setDuration(0)
    qtbot.addWidget(view)
    view.resize(640, 480)
    view.show()
    return view


def test_forty_speakers_have_forty_colours_and_all_are_named(view, workspace):
    for k, vector in enumerate(vectors(40)):
        workspace.add_utterance(utterance(vector, f"Speaker {k}"))
    arrange(workspace)
    view.resize(900, 700)
    seen = {colour_at(view, view.screen_place(id)) for id in workspace.utterances}
    assert seen == {workspace.speaker_colour(f"Speaker {k}") for k in range(40)} and len(seen) == 40
    shown, more = view.legend._window()
    assert len(shown) + more == 40 and more > 0
    assert (len(shown) + 1) * view.legend.row_height() <= view.legend.height() + view.legend.row_height()
    names = {name for name, _ in shown}
    for _ in range(40):  # the wheel reaches the last one
        view.legend._first = min(view.legend._first + 2, 40 - view.legend.rows() + 1)
        names |= {name for name, _ in view.legend._window()[0]}
    assert len(names) == 40


def test_generated_speech_is_told_apart(view, workspace):
    one, two = vectors(2)
    real, made = utterance(one, origin="recorded"), utterance(two, origin="generated")
    workspace.add_utterance(real)
    workspace.add_utterance(made)
    arrange(workspace)
    anna = workspace.speaker_colour("Anna")
    assert colour_at(view, view.screen_place(real.id)) == anna
    centre = view.screen_place(made.id)
    assert colour_at(view, centre) == view.theme.background  # a diamond is hollow
    assert anna in {colour_at(view, centre + QPointF(dx, 0)) for dx in (5, 5.5, 6, 6.5, 7)}


def test_the_selected_one_is_ringed_and_named(view, workspace):
    for vector in vectors(3):
        workspace.add_utterance(utterance(vector))
    arrange(workspace)
    before = pixels(view)
    first = next(iter(workspace.utterances))
    workspace.select(first)
    after, at = pixels(view), view.screen_place(first)
    rows, columns = np.nonzero((before != after).any(axis=2))
    assert len(rows) > 100
    reach = np.hypot(columns - at.x(), rows - at.y())
    assert reach.min() > 7  # the marker itself stays as it was
    assert (np.abs(reach - 10.5) < 2).sum() > 30  # the ring


def test_a_click_selects_and_del_asks_to_remove(view, workspace, qtbot):
    for vector in vectors(4):
        workspace.add_utterance(utterance(vector))
    arrange(workspace)
    second = list(workspace.utterances)[1]
    with qtbot.waitSignal(view.utterance_selected) as selected:
        qtbot.mouseClick(view, Qt.LeftButton, pos=view.screen_place(second).toPoint())
    assert selected.args == [second]
    with qtbot.assertNotEmitted(view.remove_requested):
        qtbot.keyClick(view, Qt.Key_Delete)  # nothing is selected yet: the workspace decides
    workspace.select(second)
    with qtbot.waitSignal(view.remove_requested) as asked:
        qtbot.keyClick(view, Qt.Key_Delete)
    assert asked.args == [second]


def test_hovering_says_who_and_how_alike(view, workspace, qtbot):
    one, two, three = vectors(3)
    first, second = utterance(one, "Anna", "a.wav"), utterance(two, "Boris", "b.wav", "generated")
    workspace.set_references(References(("reader 7",), three[None], SPACE, ("female",), ("en",)))
    for each in (first, second):
        workspace.add_utterance(each)
    workspace.select(first.id)
    arrange(workspace)
    before = pixels(view)
    qtbot.mouseMove(view, view.screen_place(second.id).toPoint())
    qtbot.waitUntil(lambda: view._hover == second.id)
    assert (pixels(view) != before).any()
    similarity = first.embedding.similarity(second.embedding)
    assert view.hover_lines(second.id) == ["b.wav", "Boris · generated", f"{similarity:.2f} like a.wav"]
    assert view.hover_lines(REFERENCE + "reader 7")[:2] == ["reader 7", "reference voice · female · en"]
    assert len(view.hover_lines(first.id)) == 2  # not compared with itself


def test_two_files_of_one_name_stay_two(view, workspace):
    """Identity is the id: neither an equal name nor equal sound merges two utterances."""
    (vector,) = vectors(1)
    one, two = utterance(vector, name="1.wav"), utterance(vector, name="1.wav")
    workspace.add_utterance(one)
    workspace.add_utterance(two)
    arrange(workspace)
    apart = view.screen_place(one.id) - view.screen_place(two.id)
    assert np.hypot(apart.x(), apart.y()) >= 8
    assert view.at(view.screen_place(one.id)) == one.id and view.at(view.screen_place(two.id)) == two.id


def test_another_encoders_voices_are_never_drawn_among_these(view, workspace):
    for vector in vectors(3):
        workspace.add_utterance(utterance(vector))
    old = utterance(vectors(1, 9)[0], name="old.wav", space="other-256")
    workspace.utterances = {old.id: old, **workspace.utterances}
    arrange(workspace)
    ids = [*workspace.utterances, "x"]
    workspace.set_layout(Layout(tuple(ids), np.random.default_rng(0).normal(size=(len(ids), 2)), "pca"))
    assert old.id not in view.drawn_ids() and len(view.drawn_ids()) == 3
    assert view.hidden_names() == ["old.wav"]
    with_note = pixels(view)
    workspace.remove_utterance(old.id)
    without = pixels(view)
    assert (with_note[-60:] != without[-60:]).any()  # the note below the map


def test_voices_keep_their_place_on_the_screen(view, workspace):
    projector = Projector(umap=FakeUmap())
    workspace.set_references(References(tuple(f"r{k}" for k in range(40)), vectors(40, 5), SPACE))
    for k, vector in enumerate(vectors(6)):
        workspace.add_utterance(utterance(vector, f"Speaker {k % 3}"))
    arrange(workspace, projector)
    size = min(view.area().width(), view.area().height())
    for k, vector in enumerate(vectors(5, 3)):
        before = {id: view._places[id] for id in view.drawn_ids()}
        width = np.ptp(list(view._places.values()), axis=0).max()
        workspace.add_utterance(utterance(vector, f"Speaker {k}"))
        arrange(workspace, projector)
        assert all(np.linalg.norm(view._places[id] - place) < 0.05 * width for id, place in before.items())
    before = {id: view.screen_place(id) for id in view.reference_ids()}
    workspace.remove_utterance(next(iter(workspace.utterances)))
    arrange(workspace, projector)
    for id, place in before.items():
        assert (view.screen_place(id) - place).manhattanLength() < 0.05 * size


def test_removed_voices_leave_at_once(view, workspace):
    for vector in vectors(3):
        workspace.add_utterance(utterance(vector))
    arrange(workspace)
    gone = list(workspace.utterances)[2]
    view._hover = gone
    at = view.screen_place(gone)
    workspace.remove_utterance(gone)
    assert view.at(at) != gone and gone not in view.drawn_ids()
    pixels(view)
    left = list(workspace.utterances)
    view._hover = left[0]
    workspace.set_layout(Layout((left[1],), np.zeros((1, 2)), "pca"))  # a map without the point under the mouse
    assert view._hover is None
    pixels(view)


def test_wheel_drag_and_double_click(view, workspace, qtbot):
    for vector in vectors(12):
        workspace.add_utterance(utterance(vector))
    arrange(workspace)
    home = {id: view.screen_place(id) for id in workspace.utterances}
    anchor = view.screen_place(next(iter(home)))
    view.box.zoom_at(anchor, 2.0, view.area())
    view.redraw()
    places = view.screen_places(list(home))
    assert np.hypot(*(places[0] - (anchor.x(), anchor.y()))) < 1.5
    start, end = QPoint(60, 100), QPoint(90, 120)
    qtbot.mousePress(view, Qt.LeftButton, pos=start)
    qtbot.mouseMove(view, end)
    assert view.box.is_moved
    qtbot.mouseRelease(view, Qt.LeftButton, pos=end)
    empty = next(QPoint(x, y) for x in range(20, 400, 15) for y in range(40, 400, 15) if view.at(QPointF(x, y)) is None)
    qtbot.mouseDClick(view, Qt.LeftButton, pos=empty)
    assert not view.box.is_moved
    for id, place in home.items():
        assert (view.screen_place(id) - place).manhattanLength() < 1.5


def test_the_map_glides_from_pca_to_umap(view, workspace, qtbot):
    view._glide.setDuration(120)
    for vector in vectors(12):
        workspace.add_utterance(utterance(vector))
    ids, shown = tuple(workspace.utterances), []
    layout = Projector(umap=FakeUmap()).project(ids, vectors(12), on_layout=shown.append)
    workspace.set_layout(shown[0])
    assert view.method == "PCA"
    start = view.screen_places(list(ids))
    workspace.set_layout(layout)
    assert view.method == "UMAP"
    np.testing.assert_allclose(view.screen_places(list(ids)), start, atol=0.5)  # it starts where it was
    qtbot.waitUntil(lambda: view._progress == 1.0)
    end = view.screen_places(list(ids))
    area = view.area()
    assert all(area.adjusted(-1, -1, 1, 1).contains(QPointF(*place)) for place in end)
    assert np.abs(end - start).max() > 1


def test_pointing_at_a_speaker_lights_up_that_speaker(view, workspace):
    for k, vector in enumerate(vectors(6)):
        workspace.add_utterance(utterance(vector, f"Speaker {k % 2}"))
    arrange(workspace)
    other = next(id for id, u in workspace.utterances.items() if u.speaker == "Speaker 1")
    at = QPointF(20, view.legend.row_height() / 2)
    move = QMouseEvent(QEvent.MouseMove, at, Qt.NoButton, Qt.NoButton, Qt.NoModifier)
    QApplication.sendEvent(view.legend, move)
    assert view.legend.hovered == "Speaker 0"
    assert colour_at(view, view.screen_place(other)) != workspace.speaker_colour("Speaker 1")


def test_a_narrow_view_has_no_legend(view, workspace):
    workspace.add_utterance(utterance(vectors(1)[0]))
    arrange(workspace)
    assert view.legend.taken() > 0
    view.resize(300, 300)
    assert view.legend.taken() == 0


def test_empty_states(view, workspace):
    assert view.is_empty()
    blank = pixels(view)
    assert (blank != blank[0, 0]).any()
    workspace.set_references(References(("a", "b", "c"), vectors(3), SPACE))
    arrange(workspace)
    assert not view.is_empty()
    assert (pixels(view) != blank).any()
    workspace.set_references(None)
    workspace.set_layout(None)
    np.testing.assert_array_equal(pixels(view), blank)


def test_one_voice_alone_is_in_the_middle(view, workspace):
    workspace.add_utterance(utterance(vectors(1)[0]))
    arrange(workspace)
    (id,) = workspace.utterances
    assert (view.screen_place(id) - view.area().center()).manhattanLength() < 2


def test_theme_switch(view, workspace):
    workspace.add_utterance(utterance(vectors(1)[0]))
    arrange(workspace)
    light = pixels(view)
    view.apply_theme(True)
    assert pixels(view)[2, 2].mean() < 80 < 200 < light[2, 2].mean()
    view.apply_theme(False)
    np.testing.assert_array_equal(pixels(view), light)


def test_the_box_holds_still_while_points_are_inside():
    box = MapBox()
    box.fit(np.array([[0.0, 0.0], [1.0, 1.0]]))
    centre, size = box.centre, box.size
    box.fit(np.array([[0.0, 0.1], [0.9, 1.0]]))
    assert (box.size == size).all() and (box.centre == centre).all()
    box.fit(np.array([[0.0, 0.0], [3.0, 1.0]]))
    assert box.size[0] > size[0]


def test_pushed_apart_moves_little_and_separates():
    places = np.repeat(np.array([[50.0, 50.0], [120.0, 80.0]]), 4, axis=0)
    apart = pushed_apart(places, 8.0)
    distance = np.linalg.norm(apart[:, None] - apart[None], axis=2) + 99 * np.eye(8)
    assert distance.min() > 5 and np.abs(apart - places).max() < 16
    np.testing.assert_array_equal(pushed_apart(places[::4]), places[::4])


def test_a_label_goes_where_it_hides_least():
    def box(*others, at=(100.0, 100.0), weights=None):
        points = np.array([at, *others])
        weights = np.ones(len(points)) if weights is None else np.array(weights)
        return label_box(QPointF(*at), 60, 16, 13, points, weights, QRectF(0, 0, 300, 300))

    assert box().left() > 100
    assert box((140.0, 100.0)).right() < 100
    assert box(at=(290.0, 100.0)).right() < 290
    # A crowd above and at both sides, as readings of one voice make it: beside and a little lower is free.
    lower = box((80.0, 93.0), (120.0, 93.0), (100.0, 80.0), (95.0, 125.0))
    assert lower.left() > 100 and lower.top() >= 100
    # Everywhere is something: better on a dot that matters little.
    ring = [(100 + x, 100 + y) for x in (-40.0, -10.0, 10.0, 40.0) for y in (-20.0, 0.0, 20.0)]
    weights = np.array([1.0] + [0.2 if y < 100 else 1.0 for _, y in ring])
    assert box(*ring, weights=weights).bottom() < 100
