"""Own pronunciations in the window: written, checked line by line, heard, kept, and used at the next word spoken."""

import numpy as np
import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtGui import QTextCursor
from PyQt5.QtWidgets import QMessageBox

from toolbox.widgets.dictionary_dialog import DictionaryDialog


@pytest.fixture
def path(toolbox):
    return toolbox.actions.dictionary.path


@pytest.fixture
def opened(qtbot, toolbox, settled):
    """Opens the dialog as a person does, by the button beside the text or by the menu; gives it."""

    def open(by="button"):
        button = toolbox.window.speak.dictionary
        (button.click if by == "button" else toolbox.window.menus.actions["Pronunciations…"].trigger)()
        settled(toolbox)
        (dialog,) = toolbox.window.findChildren(DictionaryDialog)
        return dialog

    return open


def saved(qtbot, toolbox, dialog, settled):
    with qtbot.waitSignal(dialog.accepted):
        dialog.save.click()
    settled(toolbox)
    qtbot.waitUntil(lambda: not toolbox.window.findChildren(DictionaryDialog))


def speak(toolbox, settled, text):
    toolbox.window.speak.text.setPlainText(text)
    toolbox.window.speak.speak.click()
    settled(toolbox)
    return (
        list(toolbox.workspace.takes.values())[-1].receipt.options.pronunciations if toolbox.workspace.takes else None
    )


def test_a_marked_word_is_entered_heard_saved_and_used(qtbot, toolbox, load, devices, opened, path, settled):
    load(toolbox)
    assert speak(toolbox, settled, "The Nevada desert.") == ()
    text = toolbox.window.speak.text
    cursor = text.textCursor()
    cursor.setPosition(4)
    cursor.setPosition(10, QTextCursor.KeepAnchor)
    text.setTextCursor(cursor)
    dialog = opened()
    assert dialog.text.toPlainText().endswith("\nNevada = ")
    assert "Line 5" in dialog.state.text() and not dialog.save.isEnabled() and not dialog.hear.isEnabled()
    qtbot.keyClicks(dialog.text, "nuh-VAH-duh")
    assert dialog.state.text() == "1 entry" and dialog.save.isEnabled()
    asked = []
    made = toolbox.tools.cloner.synthesizer.synthesize
    toolbox.tools.cloner.synthesizer.synthesize = lambda *a: asked.append((a[0], a[3].pronunciations)) or made(*a)
    dialog.hear.click()
    settled(toolbox)
    assert asked == [("nevada", (("nevada", "nuh-VAH-duh"),))]
    assert len(np.concatenate([w.samples for w in devices.players[-1].fed])) and len(toolbox.workspace.takes) == 1
    saved(qtbot, toolbox, dialog, settled)
    assert path.read_text(encoding="utf-8").endswith("\nNevada = nuh-VAH-duh")
    assert not path.with_suffix(".new").exists()
    assert speak(toolbox, settled, "The Nevada desert.") == (("nevada", "nuh-VAH-duh"),)
    path.write_text("gif = jif\n", encoding="utf-8")  # by another editor
    assert speak(toolbox, settled, "A gif.") == (("gif", "jif"),)


def test_the_cursor_goes_to_the_entry_there_is(toolbox, opened, path, settled):
    path.write_text("SQL = sequel\nнога = noga\ngif = jif", encoding="utf-8")
    toolbox.window.speak.text.setPlainText("Нога")
    toolbox.window.speak.text.selectAll()
    dialog = opened("menu")
    assert dialog.text.textCursor().block().text() == "нога = noga" and dialog.state.text() == "3 entries"
    assert not dialog.hear.isEnabled() and "voice first" in dialog.hear.toolTip()
    dialog.close()
    assert not dialog.isVisible()


def test_a_bad_line_is_named_and_cannot_be_saved(qtbot, toolbox, load, opened):
    load(toolbox)
    dialog = opened()
    dialog.text.setPlainText("gif = jif\nSQL sequel\n")
    assert "Line 2: “SQL sequel” has no “=”" in dialog.state.text()
    assert dialog.text.extraSelections()[0].cursor.selectedText() == "SQL sequel"
    assert not dialog.save.isEnabled() and dialog.hear.isEnabled()
    dialog.text.moveCursor(QTextCursor.Down)
    assert not dialog.hear.isEnabled()
    dialog.text.setPlainText("gif = jif")
    assert dialog.save.isEnabled() and not dialog.text.extraSelections()
    dialog.text.document().setModified(False)
    dialog.close()


def test_closing_asks_before_it_forgets(qtbot, toolbox, opened, path, settled):
    dialog = opened()
    dialog.text.appendPlainText("gif = jif")
    for answer, open_after in ((QMessageBox.Cancel, True), (QMessageBox.Discard, False)):
        qtbot.keyClick(dialog, Qt.Key_Escape)
        box = dialog.findChild(QMessageBox)
        assert dialog.isVisible()
        box.button(answer).click()
        assert dialog.isVisible() == open_after
        qtbot.waitUntil(lambda: not open_after or dialog.findChild(QMessageBox) is None)
    assert not path.exists()
    qtbot.waitUntil(lambda: not toolbox.window.findChildren(DictionaryDialog))
    dialog = opened()
    dialog.text.appendPlainText("gif = jif")
    with qtbot.waitSignal(dialog.accepted):
        dialog.close()
        dialog.findChild(QMessageBox).button(QMessageBox.Save).click()
    assert path.read_text(encoding="utf-8").endswith("gif = jif")


def test_what_cannot_be_saved_stays_in_the_dialog(qtbot, toolbox, opened, path, settled, texts):
    dialog = opened()
    dialog.text.setPlainText("gif = jif")
    path.mkdir()
    (path / "in the way").touch()
    dialog.save.click()
    settled(toolbox)
    assert dialog.isVisible() and dialog.text.toPlainText() == "gif = jif"
    assert "cannot be written" in dialog.state.text() and "cannot be written" in texts(toolbox)
    dialog.text.document().setModified(False)
    dialog.close()


def test_a_file_that_cannot_be_read_is_said_and_nothing_is_spoken(toolbox, load, path, settled, texts):
    load(toolbox)
    path.write_text("gif = jif\nSQL\n", encoding="utf-8")
    assert speak(toolbox, settled, "A gif.") is None
    assert "pronunciations.txt, line 2: “SQL” has no “=”" in texts(toolbox) and "Edit menu" in texts(toolbox)
    path.write_bytes("Käse = cheese".encode("latin-1"))
    assert speak(toolbox, settled, "A gif.") is None
    assert "pronunciations.txt is not UTF-8" in texts(toolbox) and str(path.parent) in texts(toolbox)
    toolbox.window.speak.dictionary.click()
    settled(toolbox)
    assert not toolbox.window.findChildren(DictionaryDialog)
    path.unlink()
    assert speak(toolbox, settled, "A gif.") == ()
