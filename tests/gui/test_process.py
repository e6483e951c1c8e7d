"""The process around the window: start, display, errors, settings, the end."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PyQt5.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QToolButton,
)

from toolbox.app import Hook, has_display
from toolbox.dialogs import EXPORT_FILTERS, file_name
from toolbox.settings import Settings
from toolbox.theme import DARK, LIGHT
from toolbox.widgets.error_dialog import ErrorDialog

ROOT = Path(__file__).parents[2]


def run(code_or_arguments, **environment):
    arguments = code_or_arguments if isinstance(code_or_arguments, list) else ["-c", code_or_arguments]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", **environment},
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_without_a_display_it_says_so_in_one_line_and_leaves():
    done = run(["demo_toolbox.py"], QT_QPA_PLATFORM="", DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 1 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and "display" in done.stderr


def test_offscreen_counts_as_a_display(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert has_display()


def test_the_window_is_visible_soon_after_launch():
    done = run(["demo_toolbox.py", "--measure-startup"], QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 0, done.stderr
    seconds = json.loads(done.stdout)["window_visible_s"]
    assert 0.05 < seconds < 6  # the benchmark holds it to 1.5 s on a machine with nothing else to do


@pytest.mark.parametrize("job", ["cancellable", "stubborn"])
def test_closing_in_mid_job_ends_the_process_with_code_0(job, tmp_path):
    """A job that reports is left at once; one that never does is waited for, a while."""
    code = f"""
import sys, time
from PyQt5.QtCore import QTimer
from toolbox import app, wiring
wiring.PATIENCE = 0.3
original = wiring.Toolbox.start

def start(self):
    original(self)
    def work(report):
        while {job == "cancellable"}:
            report(0.5, "")
            time.sleep(0.01)
        time.sleep(60)
    self.lanes["models"].cancel_all()
    self.lanes["models"].submit("endless", work).started.connect(self.window.close)

wiring.Toolbox.start = start
sys.exit(app.main(["--pretrained", r"{tmp_path}"]))
"""
    started = time.monotonic()
    done = run(code, QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 30


def test_an_exception_in_a_slot_opens_the_dialog_and_aborts_nothing():
    code = """
import sys
from PyQt5.QtCore import QTimer
from toolbox import app, wiring
from toolbox.widgets.error_dialog import ErrorDialog
original = wiring.Toolbox.start

def start(self):
    original(self)
    QTimer.singleShot(0, lambda: 1 / 0)
    QTimer.singleShot(300, look)
    self.timer = lambda: None

def look():
    from PyQt5.QtWidgets import QApplication
    dialogs = [w for w in QApplication.topLevelWidgets() if isinstance(w, ErrorDialog)]
    print(len(dialogs), "ZeroDivisionError" in dialogs[0].text.toPlainText(), "toolbox.log" in dialogs[0].log.text())
    QApplication.closeAllWindows()

wiring.Toolbox.start = start
sys.exit(app.main([]))
"""
    done = run(code, QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "True", "True"]


def test_the_hook_takes_exceptions_of_threads_to_the_gui_thread(qtbot, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    hook = Hook()
    hook.install()

    def fail():
        raise RuntimeError("in a thread")

    with qtbot.waitSignal(hook.raised) as blocker:
        threading.Thread(target=fail).start()
    assert str(blocker.args[0]) == "in a thread"


def test_an_unforeseen_failure_of_a_job_opens_the_dialog(qtbot, toolbox, settled):
    def fail(report):
        raise RuntimeError("nobody foresaw this")

    toolbox.tools.cloner.utterance = lambda *arguments: fail(None)
    from window_fakes import tone

    toolbox.actions.voices._embed(tone(), "x", "y", "file", "")
    settled(toolbox)
    (dialog,) = toolbox.window.findChildren(ErrorDialog)
    assert "nobody foresaw this" in dialog.text.toPlainText()
    dialog.copy.click()
    assert "nobody foresaw this" in QApplication.clipboard().text()
    dialog.close()


def test_what_was_set_is_there_at_the_next_start(qtbot, make_toolbox, tmp_path):
    first = make_toolbox()
    first.window.resize(1400, 900)
    first.window._columns.setSizes([320, 640, 400])
    sizes = first.window._columns.sizes()
    first.choose_theme("dark")
    first.window.speak.seed.setValue(1234)
    first.window.speak.random.setChecked(True)
    first.window.speak.speed.setValue(1.5)
    first.window.record.input_chosen.emit("USB microphone")
    first.window.models.chosen.emit("vocoder", "griffin-lim")
    with qtbot.waitSignal(first.closed, timeout=10000):
        first.window.close()
    second = make_toolbox(settings=Settings(tmp_path / "settings.ini"))
    assert second.theme.choice == "dark" and second.theme.dark
    assert second.window.size() == first.window.size() and second.window._columns.sizes() == sizes
    assert second.window.speak.seed.value() == 1234 and second.window.speak.random.isChecked()
    assert second.window.speak.speed.value() == 1.5
    assert second.window.record.device.currentData() == "USB microphone"
    second.choose_theme("light")


def test_files_named_at_the_start_are_loaded(qtbot, make_toolbox, tmp_path, settled, texts):
    import soundfile
    from window_fakes import tone

    soundfile.write(tmp_path / "anna.wav", tone().samples, 44100)
    toolbox = make_toolbox(started=False)
    toolbox.load_when_ready([tmp_path / "anna.wav"])
    toolbox.show()
    with qtbot.waitSignal(toolbox.workspace.utterance_added, timeout=20000):
        pass
    settled(toolbox)
    assert "waits" not in texts(toolbox)


def test_a_damaged_settings_file_is_no_obstacle(tmp_path, make_toolbox):
    path = tmp_path / "settings.ini"
    path.write_bytes(b"\x00\xff[window\ngeometry=@Byte(\ntheme=17\n[speak]\nseed=many\nspeed=fast\n")
    toolbox = make_toolbox(settings=Settings(path))
    assert toolbox.theme.choice == "system" and toolbox.window.speak.seed.value() == 0


def test_light_and_dark_reach_palette_sheet_and_plots(toolbox, qapp):
    for choice, colours in (("light", LIGHT), ("dark", DARK), ("light", LIGHT)):
        toolbox.choose_theme(choice)
        assert qapp.palette().window().color().name() == colours["window"]
        assert colours["panel"] in qapp.styleSheet() and "@" not in qapp.styleSheet()


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_can_be_read(colours):
    """Contrast of at least 4.5 to 1, as the web's accessibility guidelines ask."""
    pairs = [("text", "panel"), ("muted", "panel"), ("muted", "window"), ("text", "selected")]
    pairs += [("accent_text", "accent"), ("accent_text", "accent_hover")]
    pairs += [("text", f"{level}_fill") for level in ("info", "warning", "error")] + [("danger", "panel")]
    for front, back in pairs:
        light, dark = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (front, back)


def test_every_control_has_a_name_and_is_on_the_screen(toolbox, qtbot):
    toolbox.window.resize(1280, 800)
    kinds = (QAbstractButton, QComboBox, QLineEdit, QAbstractSpinBox, QPlainTextEdit)
    controls = [w for kind in kinds for w in toolbox.window.findChildren(kind) if w.isVisible()]
    controls = [w for w in controls if not w.objectName().startswith("qt_") and not isinstance(w.parent(), QLineEdit)]
    assert len(controls) > 20
    for control in controls:
        text = control.text() if isinstance(control, QAbstractButton) else ""
        assert control.accessibleName() or text, control
        assert control.toolTip() or text or isinstance(control, QPlainTextEdit), control.accessibleName()
        corner = control.mapTo(toolbox.window, control.rect().bottomRight())
        assert toolbox.window.rect().contains(corner), control.accessibleName()
        is_icon = isinstance(control, QToolButton)
        room = control.iconSize().width() + 8 if is_icon else control.minimumSizeHint().width()
        assert control.width() >= room, control.accessibleName()


def test_every_shortcut_is_unique(toolbox):
    keys = [action.shortcut().toString() for action in toolbox.window.menus.actions.values()]
    keys = [key for key in keys if key]
    assert len(keys) == len(set(keys))
    assert {"R", "Del", "Ctrl+O", "Ctrl+Shift+E", "Ctrl+Return", "Esc", "Ctrl+Z"} <= set(keys)


def test_the_export_dialog_follows_the_chosen_format(qtbot, toolbox, load, settled):
    from PyQt5.QtWidgets import QFileDialog

    (id,) = load(toolbox)
    QApplication.setAttribute(__import__("PyQt5.QtCore", fromlist=["Qt"]).Qt.AA_DontUseNativeDialogs)
    toolbox.dialogs.ask_where_to_save(id)
    (dialog,) = toolbox.window.findChildren(QFileDialog)
    for name, suffix in EXPORT_FILTERS.items():
        dialog.selectNameFilter(name)
        dialog.filterSelected.emit(name)
        assert Path(dialog.selectedFiles()[0]).suffix == f".{suffix}"
    dialog.close()


@pytest.mark.parametrize(
    "text,name", [("Hello, world!", "Hello world"), ("Привет/мир", "Привет мир"), ("???", "take"), ("a" * 90, "a" * 48)]
)
def test_file_names_come_from_the_text(text, name):
    assert file_name(text) == name


def test_notices_are_few_and_the_newest_is_first(toolbox, texts):
    for i in range(5):
        toolbox.notices.error(f"error {i}")
    assert [text.strip() for text in toolbox.window.notices.texts] == ["error 4", "error 3", "error 2"]
    toolbox.notices.error("error 3")
    assert len(toolbox.window.notices.texts) == 3
    for row in list(toolbox.window.notices.rows):
        row.close_button.click()
    assert not toolbox.window.notices.isVisible()
