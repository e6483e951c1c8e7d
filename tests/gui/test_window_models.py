"""Models in the window: what fits is offered, what is damaged is said, nothing there still opens."""

import pytest
from window_fakes import write_model

from core.errors import ModelError
from core.inference import registry
from core.inference.cloner import Cloner
from core.inference.registry import ARCHITECTURES
from core.types import PROJECT_MEL, MelFormat
from toolbox.actions.models import best_choice


def architecture(role):
    return next(a for a, entry in ARCHITECTURES.items() if entry[0] == role and a != "griffin_lim")


def offered(toolbox, role):
    choice = toolbox.window.models.choices[role]
    return [choice.itemData(i) for i in range(choice.count())]


def test_griffin_lim_is_always_offered(toolbox):
    assert offered(toolbox, "vocoder") == ["fake-vocoder", "griffin-lim"]
    assert toolbox.window.models.state.text() == "ready"


def test_only_what_fits_is_offered(make_toolbox, models_folder, qtbot, settled):
    write_model(models_folder, "encoder", "other-encoder", architecture("encoder"), space="elsewhere")
    write_model(models_folder, "synthesizer", "other-synthesizer", architecture("synthesizer"), space="elsewhere")
    narrow = MelFormat(hop_length=256)
    write_model(models_folder, "vocoder", "narrow-vocoder", architecture("vocoder"), mel_format=narrow)
    toolbox = make_toolbox()
    assert offered(toolbox, "encoder") == ["fake-encoder", "other-encoder"]
    assert offered(toolbox, "synthesizer") == ["fake-synthesizer"]
    assert offered(toolbox, "vocoder") == ["fake-vocoder", "griffin-lim"]
    toolbox.window.models.chosen.emit("encoder", "other-encoder")
    assert offered(toolbox, "synthesizer") == ["other-synthesizer"]
    settled(toolbox)
    assert toolbox.settings.text("models/encoder") == "other-encoder"


def test_the_wanted_model_is_kept_where_it_fits():
    def card(role, name, space=""):
        return registry.Card(role, "x", name, space=space, mel_format=None if role == "encoder" else PROJECT_MEL)

    cards = {
        "encoder": [card("encoder", "a", "A"), card("encoder", "b", "B")],
        "synthesizer": [card("synthesizer", name, space) for name, space in (("sa", "A"), ("sb", "B"), ("sb2", "B"))],
        "vocoder": [registry.GRIFFIN_LIM],
    }
    assert best_choice(cards, {}) == {"encoder": "a", "synthesizer": "sa", "vocoder": "griffin-lim"}
    assert best_choice(cards, {"encoder": "b", "synthesizer": "sb2"})["synthesizer"] == "sb2"
    assert best_choice(cards, {"encoder": "b", "synthesizer": "sa"})["synthesizer"] == "sb"
    assert best_choice({**cards, "synthesizer": []}, {})["synthesizer"] is None


def test_an_empty_folder_opens_and_says_what_to_do(make_toolbox, tmp_path, texts, load, settled, qtbot):
    cloner = Cloner(tmp_path / "empty")
    toolbox = make_toolbox(cloner=cloner)
    assert toolbox.window.isVisible()
    assert "no encoder and no synthesizer" in texts(toolbox) and "look again" in texts(toolbox)
    assert offered(toolbox, "vocoder") == ["griffin-lim"] and offered(toolbox, "encoder") == [None]
    load(toolbox)
    assert not toolbox.workspace.utterances and "waits" in texts(toolbox)
    toolbox.window.speak.text.setPlainText("Hello.")
    toolbox.window.speak.speak.click()
    assert "no voice" in texts(toolbox)


def test_coming_back_to_the_window_does_not_repeat_what_is_missing(make_toolbox, tmp_path, texts, settled):
    toolbox = make_toolbox(cloner=Cloner(tmp_path / "empty"))
    toolbox.window.notices.rows[0].close_button.click()
    toolbox.window.activated.emit()
    settled(toolbox)
    assert "no encoder" not in texts(toolbox)
    toolbox.window.models.rescan.click()
    settled(toolbox)
    assert "no encoder" in texts(toolbox)


def test_what_waited_for_an_encoder_joins_when_there_is_one(make_toolbox, tmp_path, load, texts, settled):
    from fakes import FakeEncoder

    toolbox = make_toolbox(cloner=Cloner(tmp_path / "empty"))
    load(toolbox, "anna.wav")
    assert not toolbox.workspace.utterances
    toolbox.tools.cloner.encoder = FakeEncoder()
    toolbox.actions.models.loaded.emit()
    settled(toolbox)
    assert [u.name for u in toolbox.workspace.utterances.values()] == ["anna"]
    assert "waits" not in texts(toolbox)


def test_a_truncated_model_is_said_and_the_others_work(make_toolbox, models_folder, texts, qtbot, load, settled):
    path = write_model(models_folder, "vocoder", "cut", architecture("vocoder"), size=4096, extra={"rank": 9})
    path.write_bytes(path.read_bytes()[:-1000])
    toolbox = make_toolbox()
    assert "cut.safetensors" in texts(toolbox)
    assert offered(toolbox, "vocoder") == ["fake-vocoder", "griffin-lim"]
    load(toolbox)
    toolbox.window.speak.text.setPlainText("It works.")
    toolbox.window.speak.speak.click()
    settled(toolbox)
    assert len(toolbox.workspace.takes) == 1


def test_weights_that_do_not_fit_are_passed_over(make_toolbox, models_folder, texts):
    """The cards are fine, so the models are offered; only loading shows that they hold nothing of use."""
    toolbox = make_toolbox(cloner=Cloner(models_folder))
    assert "fake-encoder" in texts(toolbox) or "fake-vocoder" in texts(toolbox)
    assert toolbox.workspace.loaded == {"encoder": None, "synthesizer": None, "vocoder": "griffin-lim"}
    assert toolbox.tools.cloner.vocoder.name == "griffin-lim"


def test_a_model_that_appears_is_offered_after_looking_again(qtbot, toolbox, models_folder, settled):
    write_model(models_folder, "vocoder", "new-vocoder", architecture("vocoder"))
    toolbox.window.models.rescan.click()
    settled(toolbox)
    assert "new-vocoder" in offered(toolbox, "vocoder")


def test_a_cancelled_load_is_made_up_for_by_the_next_request(qtbot, make_toolbox, load, settled):
    toolbox = make_toolbox(started=False)
    toolbox.window.show()
    with qtbot.waitSignal(toolbox.lanes["models"].submitted):
        toolbox.actions.models.rescan()
    toolbox.actions.cancel()
    assert not any(toolbox.workspace.loaded.values())
    assert load(toolbox)
    assert toolbox.workspace.loaded["encoder"] == "fake-encoder"


def test_another_encoder_embeds_everything_anew(qtbot, toolbox, load, settled):
    from fakes import FakeEncoder

    (id,) = load(toolbox)
    toolbox.actions.voices.rename_utterance(id, "renamed")
    other = FakeEncoder()
    other.space = "elsewhere"
    toolbox.tools.cloner.encoder = other
    toolbox.actions.models.loaded.emit()
    settled(toolbox)
    assert toolbox.workspace.utterances[id].embedding.encoder == "elsewhere"
    assert toolbox.workspace.utterances[id].name == "renamed"


def test_loading_failures_of_any_kind_are_model_errors(tmp_path, models_folder):
    cloner = Cloner(models_folder)
    problems = cloner.select_usable({"encoder": "fake-encoder"})
    assert problems and all(isinstance(problem, ModelError) for problem in problems)


@pytest.mark.parametrize("role", ["encoder", "synthesizer", "vocoder"])
def test_every_choice_has_a_name_and_an_explanation(toolbox, role):
    choice = toolbox.window.models.choices[role]
    assert choice.accessibleName() and choice.toolTip()


def test_the_first_window_fits_the_screen(toolbox):
    from PyQt5.QtCore import QSize

    from toolbox.widgets.main_window import first_size

    small = QSize(1229, 768)  # 1280 by 800 pixels at 100 dots an inch
    assert first_size(small) == small and first_size(QSize(1920, 1080)) == QSize(1280, 800)
    least = toolbox.window.minimumSize()
    assert least.width() <= small.width() and least.height() <= small.height()
