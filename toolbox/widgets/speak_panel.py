"""Text, voice and manner: everything one says before something is spoken."""

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from core.types import SpeakOptions
from toolbox.theme import Theme
from toolbox.widgets.parts import GAP, Card, Choice, icon_button
from toolbox.workspace import Voice, Workspace

LARGEST_SEED = 99_999  # what the field can show


class SpeakPanel(Card):
    """Emits (text, seed or None for a fresh one, options)."""

    speak_wanted = pyqtSignal(str, object, object)
    synthesize_wanted = pyqtSignal(str, object, object)
    vocode_wanted = pyqtSignal(str)  # id of a take
    voice_chosen = pyqtSignal(object)  # Voice
    dictionary_wanted = pyqtSignal(str)  # the word that is marked in the text, or ""

    def __init__(self, workspace: Workspace, theme: Theme, parent: QWidget | None = None):
        super().__init__("Speak", parent)
        self._workspace, self._theme = workspace, theme
        self.voice = Choice("Voice", "The voice to speak in: one utterance, or all of a speaker's averaged")
        self.voice.activated.connect(self._on_voice)
        row = QHBoxLayout()
        row.setSpacing(10)
        label = QLabel("Voice")
        label.setObjectName("muted")
        row.addWidget(label)
        row.addWidget(self.voice, 1)
        self.tuned = QCheckBox("Tune")
        self.tuned.setChecked(True)
        self.tuned.setAccessibleName("Tune to the voice")
        self.tuned.setToolTip(
            "Lets the synthesizer find out how to sound most like this voice; a second or two, once for each voice, "
            "while you type"
        )
        row.addWidget(self.tuned)
        self.body.addLayout(row)
        self.text = QPlainTextEdit()
        self.text.setAccessibleName("Text to speak")
        self.text.setPlaceholderText(
            "What shall the voice say?\nAny length; each sentence is heard as soon as it is made."
        )
        self.text.setTabChangesFocus(True)
        self.text.setMinimumHeight(84)
        self.text.textChanged.connect(self._count)
        self.body.addWidget(self.text, 1)
        self.body.addLayout(self._build_manner())
        self.body.addLayout(self._build_buttons())
        for signal in (workspace.utterance_added, workspace.utterance_removed, workspace.utterance_changed):
            signal.connect(self.on_voices_changed)
        workspace.voice_changed.connect(self.on_voices_changed)
        workspace.shown_changed.connect(lambda id: self._enable())
        workspace.take_changed.connect(lambda id: self._enable())
        self.on_voices_changed()
        self._count()

    def _build_manner(self) -> QGridLayout:
        self.seed = QSpinBox()
        self.seed.setRange(0, LARGEST_SEED)
        self.seed.setAccessibleName("Seed")
        self.seed.setToolTip("The same seed, text, voice and models give the same samples")
        self.random = icon_button(self._theme, "random", "A fresh seed each time", flat=False)
        self.random.setCheckable(True)
        self.random.toggled.connect(lambda on: self.seed.setEnabled(not on))
        self.speed = self._number("Speed", 0.5, 2.0, 0.05, 1.0, "×", "How fast the voice speaks; 1 is its own pace")
        self.variation = self._number(
            "Variation", 0.0, 1.0, 0.1, 0.5, "", "How much the delivery changes from seed to seed; 0 is the plainest"
        )
        self.pitch = self._number(
            "Pitch", -12, 12, 1, 0, " st", "Semitones higher or lower than the voice's own; its timbre is kept"
        )
        self.pitch.setDecimals(0)
        self.variation.setDecimals(1)
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(2)
        seed = QHBoxLayout()
        seed.setSpacing(4)
        seed.addWidget(self.seed, 1)
        seed.addWidget(self.random)
        fields = (("Seed", self.seed), ("Speed", self.speed), ("Pitch", self.pitch), ("Variation", self.variation))
        for column, (name, field) in enumerate(fields):
            label = QLabel(name)
            label.setObjectName("muted")
            label.setBuddy(field)
            grid.addWidget(label, 0, column)
        grid.addLayout(seed, 1, 0)
        grid.addWidget(self.speed, 1, 1)
        grid.addWidget(self.pitch, 1, 2)
        grid.addWidget(self.variation, 1, 3)
        grid.setColumnStretch(0, 1)
        return grid

    @staticmethod
    def _number(name: str, low: float, high: float, step: float, value: float, suffix: str, tip: str) -> QDoubleSpinBox:
        field = QDoubleSpinBox()
        field.setRange(low, high)
        field.setSingleStep(step)
        field.setValue(value)
        field.setSuffix(suffix)
        field.setDecimals(2)
        field.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Fixed)
        field.setAccessibleName(name)
        field.setToolTip(tip)
        return field

    def _build_buttons(self) -> QHBoxLayout:
        self.synthesize = QPushButton("Synthesize")
        self.synthesize.setToolTip("Make the mel spectrogram alone")
        self.vocode = QPushButton("Vocode")
        self.vocode.setToolTip("Make the sound of the take that is marked")
        self.speak = QPushButton("Speak")
        self.speak.setObjectName("primary")
        self.speak.setToolTip("Synthesize and vocode (Ctrl+Return)")
        self.speak.setAccessibleName("Synthesize and vocode")
        for button in (self.synthesize, self.vocode, self.speak):
            button.setFocusPolicy(Qt.TabFocus)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self.synthesize)
        row.addWidget(self.vocode)
        row.addWidget(self.speak, 1)
        self.characters = QLabel()
        self.characters.setObjectName("muted")
        self.header.addWidget(self.characters)
        self.dictionary = icon_button(
            self._theme, "dictionary", "Pronunciations", "How words are said; mark one in the text first (Ctrl+D)"
        )
        self.header.addSpacing(6)
        self.header.addWidget(self.dictionary)
        self.dictionary.clicked.connect(lambda: self.dictionary_wanted.emit(self._marked_word()))
        self.synthesize.clicked.connect(lambda: self.synthesize_wanted.emit(*self.request()))
        self.speak.clicked.connect(lambda: self.speak_wanted.emit(*self.request()))
        self.vocode.clicked.connect(lambda: self.vocode_wanted.emit(self._workspace.shown_id or ""))
        return row

    def request(self) -> tuple[str, int | None, SpeakOptions]:
        """What is asked for."""
        seed = None if self.random.isChecked() else self.seed.value()
        manner = self.speed.value(), self.variation.value(), self.pitch.value()
        options = SpeakOptions(*manner, tuned=self.tuned.isChecked())
        return self.text.toPlainText(), seed, options

    def _marked_word(self) -> str:
        """What is marked in the text, where that is a word or a short phrase."""
        marked = self.text.textCursor().selectedText().strip()
        return marked if len(marked) <= 40 and marked.isprintable() and "=" not in marked else ""

    def show_seed(self, seed: int) -> None:
        """The fresh seed that was drawn, so that it can be kept."""
        self.seed.setValue(seed)

    def on_voices_changed(self, *_) -> None:
        workspace = self._workspace
        self.voice.clear()
        for speaker in workspace.speakers():
            utterances = workspace.utterances_of(speaker)
            average = f"{speaker} · average of {len(utterances)}" if len(utterances) > 1 else speaker
            self.voice.addItem(self._theme.dot(workspace.speaker_colour(speaker)), average, Voice(speaker))
            if len(utterances) > 1:
                for utterance in utterances:
                    self.voice.addItem(f"{speaker} · only {utterance.name}", Voice(speaker, utterance.id))
        data = [self.voice.itemData(i) for i in range(self.voice.count())]
        if not data:
            self.voice.addItem("no voice yet", None)
        elif workspace.voice in data:
            self.voice.setCurrentIndex(data.index(workspace.voice))
        self.voice.setEnabled(bool(data))
        self._enable()

    def _on_voice(self, index: int) -> None:
        if self.voice.itemData(index) is not None:
            self.voice_chosen.emit(self.voice.itemData(index))

    def _enable(self) -> None:
        self.vocode.setEnabled(self._workspace.shown_id in self._workspace.takes)

    def _count(self) -> None:
        n = len(self.text.toPlainText())
        self.characters.setText(f"{n:,} characters" if n else "")
