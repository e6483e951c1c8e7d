import numpy as np
import pytest

from cli.plots import speech_bars
from core.evaluation.sentences import HARD, HARVARD
from core.evaluation.speech import COLUMNS, _summary, choose_cases, espeak_reading, table
from core.text.script import write_script
from core.training.data import CACHE, SPEECH, SpeechCache


def judged(speaker: str, voice: np.ndarray, errors: int, seconds: float) -> dict:
    return {
        "speaker": speaker, "errors": errors, "words": 10, "seconds": seconds, "real_seconds": 2.0, "f0": 110.0,
        "lost": ["the"] * (errors // 3), "doubled": [],
        "reference_f0": 120.0 if speaker == "a" else 220.0, "dnsmos": 3.0, "voices": {"ours": voice},
        "synthesizer_s": 0.1, "vocoder_s": 0.2,
    }  # fmt: skip


def test_the_summary_counts_words_voices_and_lengths():
    a, b = np.eye(2, dtype=np.float32)
    results = [judged("a", a, 1, 2.0), judged("b", a, 3, 2.2)]  # the second one sounds like the first speaker
    found = _summary(results, {"a": {"ours": a}, "b": {"ours": b}})
    assert found["wer"] == pytest.approx(0.2)
    assert found["similarity_ours"] == pytest.approx(0.5)
    assert found["nearest_is_right_ours"] == 0.5
    assert found["eer_ours"] == pytest.approx(0.5)
    assert found["lost"] == 1 and found["doubled"] == 0
    assert found["duration_ratio"] == pytest.approx(1.05)
    assert found["gender_kept"] == 0.5
    assert found["synthesizer_rtf"] == pytest.approx(0.2 / 4.2)


def test_the_report_is_a_table_and_a_picture(tmp_path):
    report = {
        "systems": {
            "real": {"wer": 0.2, "dnsmos": 3.3},
            "ours": {"wer": 0.3, "lost": 4, "similarity_ours": 0.8, "dnsmos": 3.0},
        }
    }
    lines = table(report).splitlines()
    assert len(lines) == 3 and lines[2].split()[1:4] == ["0.300", "4", "-"] and lines[1].split()[0] == "real"
    path = tmp_path / "speech.png"
    speech_bars(path, report, COLUMNS)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_every_sentence_can_be_spoken_and_there_are_twenty_of_each():
    assert len(HARVARD) == len(HARD) == 20
    for sentence in (*HARVARD, *HARD):
        assert len(write_script(sentence).symbols) > 3


def test_cases_are_the_same_every_time_and_keep_the_reference_apart():
    if not (SPEECH / "manifest.tsv").exists() or not (CACHE / "speech_index.npz").exists():
        pytest.skip("needs the recorded speech, decoded in the cache")
    cache = SpeechCache()
    cases = choose_cases(cache, ["held-back", "hard"])
    assert cases == choose_cases(cache, ["held-back", "hard"])
    assert len(cases) == 40 and len({case.speaker for case in cases}) == 10
    for case in cases:
        assert cache.rows[case.reference].split == "val_unseen"
        assert (
            case.reference != case.reading and case.reference not in case.enrolled and case.reading not in case.enrolled
        )


def test_the_floor_is_espeak_itself():
    sound = espeak_reading("hello")
    if sound is None:
        pytest.skip("the program espeak-ng is not installed")
    assert 0.2 < len(sound) / 16000 < 2 and np.abs(sound).max() > 0.05
