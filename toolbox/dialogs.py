"""The questions the window asks: which files, where to, and what it says of itself. None blocks."""

from pathlib import Path

from PyQt5.QtCore import QObject, Qt, QUrl
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtWidgets import QFileDialog, QMessageBox, QWidget

from toolbox.actions import Actions
from toolbox.widgets.dictionary_dialog import DictionaryDialog

OPEN_FILTER = "Sound files (*.wav *.flac *.ogg *.opus *.mp3 *.aif *.aiff *.au *.w64 *.caf);;All files (*)"
EXPORT_FILTERS = {"WAV (*.wav)": "wav", "FLAC (*.flac)": "flac", "Ogg Vorbis (*.ogg)": "ogg"}


class Dialogs(QObject):
    """Opens dialogs and passes the answers on to the actions."""

    def __init__(self, window: QWidget, actions: Actions):
        super().__init__(window)
        self.window = window
        self.actions = actions

    def ask_for_files(self) -> None:
        folder = self.actions.tools.settings.text("folder/open", str(Path.home()))
        dialog = QFileDialog(self.window, "Load sound files", folder)
        dialog.setFileMode(QFileDialog.ExistingFiles)
        dialog.setNameFilters(OPEN_FILTER.split(";;"))
        dialog.setAttribute(Qt.WA_DeleteOnClose)
        dialog.filesSelected.connect(self._on_files)
        dialog.open()

    def _on_files(self, names: list[str]) -> None:
        if names:
            self.actions.tools.settings.put("folder/open", str(Path(names[0]).parent))
            self.actions.voices.load([Path(name) for name in names])

    def ask_where_to_save(self, id: str) -> None:
        """Asks for a file name, for a take or an utterance."""
        workspace = self.actions.tools.workspace
        take = workspace.takes.get(id)
        utterance = workspace.utterances.get(id)
        if take is None and utterance is None:
            return
        if take is not None and take.waveform is None:
            self.actions.tools.notices.warning("This take has no sound yet.", "Vocode it first.", key="export")
            return
        folder = Path(self.actions.tools.settings.text("folder/export", str(Path.home())))
        name = file_name(take.text if take is not None else f"{utterance.speaker} {utterance.name}")
        dialog = QFileDialog(self.window, "Export", str(folder))
        dialog.setAcceptMode(QFileDialog.AcceptSave)
        dialog.setNameFilters(list(EXPORT_FILTERS))
        dialog.setDefaultSuffix("wav")
        dialog.selectFile(f"{name}.wav")
        dialog.filterSelected.connect(lambda chosen: _follow_filter(dialog, EXPORT_FILTERS[chosen]))
        dialog.setAttribute(Qt.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self._save(id, Path(path)))
        dialog.open()

    def _save(self, id: str, path: Path) -> None:
        self.actions.tools.settings.put("folder/export", str(path.parent))
        if id in self.actions.tools.workspace.takes:
            self.actions.speaking.export(id, path)
        else:
            self.actions.voices.save_recording(id, path)

    def edit_dictionary(self, word: str = "") -> None:
        """Opens the person's own pronunciations, at the entry of a word."""
        job = self.actions.dictionary.read()
        job.succeeded.connect(lambda text: self._open_dictionary(text, word))

    def _open_dictionary(self, text: str, word: str) -> None:
        if self.window.findChildren(DictionaryDialog):
            return
        workspace = self.actions.tools.workspace
        dialog = DictionaryDialog(text, word, workspace.voice is not None, self.window.theme, self.window)
        dialog.hear_wanted.connect(self.actions.speaking.hear)

        def save(text: str) -> None:
            job = self.actions.dictionary.save(text)
            job.succeeded.connect(dialog.on_saved)
            job.failed.connect(dialog.on_save_failed)

        dialog.save_wanted.connect(save)
        dialog.open()

    def about(self) -> None:
        """What this program is."""
        box = QMessageBox(self.window)
        box.setAttribute(Qt.WA_DeleteOnClose)
        box.setWindowTitle("About")
        box.setText("<b>Voice Cloning Toolbox</b>")
        box.setInformativeText(
            "Record a voice, see where it lies among others, and let it speak.\n\n"
            "Clone only voices whose owners agree.\n\nGPL-3.0-or-later"
        )
        box.open()


def file_name(text: str) -> str:
    """A text as the start of a file name: its first words, without what file systems refuse."""
    words = "".join(c if c.isalnum() or c in " -_'" else " " for c in text).split()
    return " ".join(words)[:48].strip() or "take"


def _follow_filter(dialog: QFileDialog, suffix: str) -> None:
    dialog.setDefaultSuffix(suffix)
    for name in dialog.selectedFiles()[:1]:
        dialog.selectFile(f"{Path(name).stem}.{suffix}")


def open_outside(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
