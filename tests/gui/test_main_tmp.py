"""The whole path, nothing faked: published models, a real utterance, a virtual microphone, a virtual loudspeaker."""

import numpy as np
import pytest
import soundfile
from audio_server import RATE, audio_server  # noqa: F401  (a fixture)
from PyQt5.QtCore import QMimeData, QPoint, Qt, QUrl
from PyQt5.QtGui import QDropEvent
from PyQt5.QtWidgets import QFileDialog

from core.audio.transform import resample
from core.inference.registry import PRETRAINED, available
from core.types import Waveform

PATIENCE = 120_000  # ms; a busy machine is slow, not wrong

pytestmark = [
    pytest.mark.skipif(
        any(not cards for cards in available(PRETRAINED)[0].values()),
        reason="needs the published models in pretrained/",
    ),
    pytest.mark.timeout(600),
]


@pytest.fixture
def real_toolbox(audio_server, qtbot, tmp_path):  # noqa: F811
    """The toolbox as a person starts it, models loaded."""
    from toolbox.app import build
    from toolbox.settings import Settings

    toolbox = build(Settings(tmp_path / "settings.ini"))
    toolbox.window.show()
    toolbox.start()
    qtbot.waitUntil(lambda: all(toolbox.workspace.loaded.values()), timeout=PATIENCE)
    yield toolbox
    with qtbot.waitSignal(toolbox.closed, timeout=30_000):
        toolbox.close()


def drop(window, path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    window.dropEvent(QDropEvent(QPoint(5, 5), Qt.CopyAction, data, Qt.LeftButton, Qt.NoModifier))


def heard_in(recording: np.ndarray, waveform: Waveform) -> float:
    """How well `waveform` is found somewhere in `recording` (at RATE): the peak of the normalised cross-correlation."""
    played = resample(waveform, RATE).samples
    size = 1 << int(np.ceil(np.log2(len(recording) + len(played))))
    crossed = np.fft.irfft(np.fft.rfft(recording, size) * np.conj(np.fft.rfft(played, size)), size)
    at = int(np.argmax(np.abs(crossed[: len(recording)])))
    piece = recording[at : at + len(played)]
    return float(np.abs(crossed[at]) / (np.linalg.norm(piece) * np.linalg.norm(played[: len(piece)]) + 1e-9))


def test_load_map_type_speak_play_export(real_toolbox, audio_server, speech, qtbot, tmp_path):  # noqa: F811
    toolbox = real_toolbox
    window, workspace = toolbox.window, toolbox.workspace
    ((_, waveform),) = speech(min_seconds=5.0)
    soundfile.write(tmp_path / "anna.wav", waveform.samples, waveform.sample_rate)

    with qtbot.waitSignal(workspace.utterance_added, timeout=PATIENCE) as added:
        drop(window, tmp_path / "anna.wav")
    (voice_id,) = added.args
    utterance = workspace.utterances[voice_id]
    assert utterance.speaker == "anna" and utterance.origin == "file" and workspace.selected_id == voice_id
    qtbot.waitUntil(lambda: workspace.layout is not None and voice_id in workspace.layout.ids, timeout=PATIENCE)


    window.speak.text.setFocus()
    qtbot.keyClicks(
        window.speak.text, "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."
    )
    with audio_server.listening() as live:
        with qtbot.waitSignal(workspace.take_added, timeout=PATIENCE) as made:
            qtbot.mouseClick(window.speak.speak, Qt.LeftButton)
        (take_id,) = made.args
        take = workspace.takes[take_id]
        qtbot.waitUntil(lambda: workspace.playing_id is None, timeout=PATIENCE)
    assert 3.0 < take.waveform.seconds < 15.0
    assert heard_in(live[0], take.waveform) > 0.9, "what was played while it was made is not the take"
    qtbot.waitUntil(lambda: take_id in workspace.utterances, timeout=PATIENCE)
    generated = workspace.utterances[take_id]
    assert generated.origin == "generated" and generated.speaker == "anna"
    assert generated.embedding.similarity(utterance.embedding) > 0.5

    row = window.takes.list.itemWidget(window.takes.list.item(0))
    with audio_server.listening() as again:
        with qtbot.waitSignal(workspace.playing_changed, timeout=PATIENCE):
            row.play_wanted.emit(take_id)
        qtbot.waitUntil(lambda: workspace.playing_id is None, timeout=PATIENCE)
    assert heard_in(again[0], take.waveform) > 0.9

    for suffix in ("wav", "flac", "ogg"):
        qtbot.mouseClick(window.takes.export, Qt.LeftButton)
        qtbot.waitUntil(lambda: window.findChild(QFileDialog) is not None)
        target = tmp_path / f"take.{suffix}"
        dialog = window.findChild(QFileDialog)
        dialog.fileSelected.emit(str(target))
        dialog.close()
        qtbot.waitUntil(lambda target=target: target.exists(), timeout=PATIENCE)
        qtbot.waitUntil(lambda: window.findChild(QFileDialog) is None)
        samples, rate = soundfile.read(target, dtype="float32")
        assert rate == take.waveform.sample_rate and len(samples) == len(take.waveform.samples)
    assert (
        not window.notices.texts
        or "Exported" in " ".join(window.notices.texts)
        or "Saved" in " ".join(window.notices.texts)
    )


def test_record_from_the_virtual_microphone(real_toolbox, audio_server, speech, qtbot, tmp_path):  # noqa: F811
    toolbox = real_toolbox
    window, workspace = toolbox.window, toolbox.workspace
    ((_, waveform),) = speech(min_seconds=5.0)
    path = tmp_path / "spoken.wav"
    soundfile.write(path, waveform.samples, waveform.sample_rate)
    qtbot.waitUntil(window.record.button.isEnabled, timeout=PATIENCE)

    window.record.speaker.setText("Ben")
    qtbot.mouseClick(window.record.button, Qt.LeftButton)
    qtbot.waitUntil(lambda: toolbox.sound.state == "recording", timeout=PATIENCE)
    player = audio_server.say(path)
    qtbot.waitUntil(lambda: player.poll() is not None, timeout=PATIENCE)
    with qtbot.waitSignal(workspace.utterance_added, timeout=PATIENCE) as added:
        qtbot.mouseClick(window.record.button, Qt.LeftButton)
    recorded = workspace.utterances[added.args[0]]
    assert recorded.origin == "recorded" and recorded.speaker == "Ben"
    assert recorded.waveform.seconds >= waveform.seconds
    truth = toolbox.tools.cloner.utterance(waveform, "truth", "Ben")
    assert recorded.embedding.similarity(truth.embedding) > 0.9
