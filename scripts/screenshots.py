"""Pictures of the window at work, light and dark, for the README: `make screenshots`.

Real models, real speech where the recorded speech is at hand (see core.training.data.SPEECH); no display needed.
"""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_FONT_DPI"] = "96"  # one pixel of the picture is one of the window

import soundfile  # noqa: E402
from audio_server import AudioServer, missing  # noqa: E402
from PyQt5.QtCore import QEventLoop, QTimer  # noqa: E402

from core.training.data import decode, read_manifest, read_shards  # noqa: E402
from toolbox.app import build  # noqa: E402
from toolbox.settings import Settings  # noqa: E402

SIZES = ((1280, 800), (1920, 1080))
NAMES = ("Anna", "Ben", "Carla", "Dmitri")
PER_SPEAKER = 3
TEXT = "The birch canoe slid on the smooth planks.\nGlue the sheet to the dark blue background."


def wait_until(ready, seconds: float = 180.0) -> None:
    """Runs the event loop until `ready()`. Raises SystemExit when it never is."""
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: ready() and loop.quit())
    timer.start(50)
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec_()
    if not ready():
        raise SystemExit(f"gave up waiting for {ready.__name__}")


def write_speech(folder: Path) -> list[list[Path]]:
    """Some utterances of each speaker as wav files named after made-up people."""
    rows = [row for row in read_manifest() if row.set == "librispeech_test-clean" and row.split == "train"]
    speakers = list(dict.fromkeys(row.speaker for row in rows))[: len(NAMES)]
    chosen = {}
    for name, speaker in zip(NAMES, speakers, strict=True):
        mine = [row for row in rows if row.speaker == speaker and 5 < row.seconds < 9][:PER_SPEAKER]
        chosen.update({row.utt_id: (row, folder / f"{name} {i + 1}.wav") for i, row in enumerate(mine)})
    for row, blob in read_shards([row for row, _ in chosen.values()]):
        soundfile.write(chosen[row.utt_id][1], decode(blob), 16000)
    return [path for _, path in chosen.values()]


def main() -> None:
    """Takes the pictures, with a virtual microphone and loudspeaker where PulseAudio is at hand."""
    server = None if missing() else AudioServer()
    try:
        if server is not None:
            server.start()
            os.environ.update(server.environment)
        take_pictures()
    finally:
        if server is not None:
            server.stop()


def take_pictures() -> None:
    """Drives the window through the main path and takes its picture in every size and theme."""
    target = ROOT / "docs" / "screenshots"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        toolbox = build(Settings(Path(folder) / "settings.ini"))
        window, workspace = toolbox.window, toolbox.workspace

        def models_ready():
            return all(workspace.loaded.values())

        def map_ready():
            layout = workspace.layout
            return layout is not None and layout.method == "umap" and set(workspace.utterances) <= set(layout.ids)

        def spoken():
            return len(workspace.takes) == 2 and all(id in workspace.utterances for id in workspace.takes)

        window.resize(*SIZES[0])
        window.show()
        toolbox.start()
        wait_until(models_ready)
        paths = write_speech(Path(folder))
        toolbox.actions.voices.load(paths)
        wait_until(lambda: len(workspace.utterances) == len(paths))
        window.speak.text.setPlainText(TEXT)
        for speaker in workspace.speakers()[:2]:
            before = len(workspace.takes)
            window.voices.speaker_selected.emit(speaker)
            window.speak.speak.click()
            wait_until(lambda before=before: len(workspace.takes) > before)
        wait_until(spoken)
        wait_until(map_ready)
        toolbox.sound.stop()
        for theme in ("light", "dark"):
            toolbox.choose_theme(theme)
            for width, height in SIZES:
                window.resize(width, height)
                pause = QEventLoop()
                QTimer.singleShot(1500, pause.quit)
                pause.exec_()
                path = target / f"{theme}_{width}x{height}.png"
                window.grab().save(str(path))
                print(path.relative_to(ROOT))
        loop = QEventLoop()
        toolbox.closed.connect(loop.quit)
        toolbox.close()
        loop.exec_()


if __name__ == "__main__":
    main()
