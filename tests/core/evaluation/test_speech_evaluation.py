import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cli.plots import speech_bars
from core.evaluation import speech
from core.evaluation.sentences import HARD, HARVARD
from core.evaluation.speech import COLUMNS, Case, Kept, _summary, choose_cases, enrolment, espeak_reading, spread, table
from core.inference.registry import Card
from core.text.script import write_script
from core.training.data import CACHE, REPOSITORY, SPEECH, SpeechCache


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


CASES = [Case(f"text {name}", name, 10 + k, (20 + k, 30 + k), 40 + k) for k, name in enumerate("abc")]


def test_every_text_is_spoken_by_each_of_the_speakers_and_controlled_once():
    assert spread(CASES, 1) == CASES
    for speakers, voices in ((2, 2), (3, 3), (10, 3)):
        grid = spread(CASES, speakers)
        for case in CASES:
            group = [other for other in grid if other.text == case.text]
            assert group[0] == case and len({other.speaker for other in group}) == len(group) == voices
            for other in group[1:]:  # another's text: nobody's reading of it to compare with
                own = next(c for c in CASES if c.speaker == other.speaker)
                assert (other.reference, other.enrolled) == (own.reference, own.enrolled)
                assert other.reading is None and not other.controlled


def test_no_voice_is_compared_with_what_it_was_taken_from():
    first, second = Case("one", "a", 1, (2, 3), 4), Case("two", "a", 2, (1, 4, 5, 6), 7)
    assert enrolment([first, second]) == {"a": {3, 5, 6}}


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    kept = Kept([], True, tmp_path)
    for case in CASES[:2]:
        kept.add(case, {"ours": {"errors": 1, "voices": {"ours": np.ones(2, np.float32)}}})
    with kept.path.open("a") as file:
        file.write('\n{"case": "torn')
    again = Kept([], True, tmp_path)
    assert list(again.results) == [Kept.key(case) for case in CASES[:2]]
    again.add(CASES[2], {})
    assert Kept([], True, tmp_path).results[Kept.key(CASES[0])]["ours"]["voices"] == {"ours": [1.0, 1.0]}
    assert len(Kept([], True, tmp_path).results) == 3
    assert not Kept([], False, tmp_path).results  # asked for something else


def test_the_grid_is_judged_against_every_speaker_and_a_second_run_repeats_nothing(tmp_path, monkeypatch):
    voices = dict(zip("abc", np.eye(3, dtype=np.float32), strict=True))
    done = []

    def run(settings, number, case):
        if len(done) == stop_after:
            raise KeyboardInterrupt
        done.append(number)
        return {"ours": {**judged(case.speaker, voices[case.speaker], 0, 2.0), "text": case.text}}

    monkeypatch.setattr(speech.Kept.__init__, "__defaults__", (tmp_path, True))
    monkeypatch.setattr(speech, "SpeechCache", lambda: None)
    monkeypatch.setattr(speech, "choose_cases", lambda cache, sets: CASES)
    monkeypatch.setattr(speech.registry, "find", lambda role, name=None: Card(role, "none", f"the {role}"))
    monkeypatch.setattr(speech, "ProcessPoolExecutor", lambda processes, *_: ThreadPoolExecutor(processes))
    monkeypatch.setattr(speech, "_voices_of", lambda settings, i: {"ours": voices["abc"[i % 10]]})
    monkeypatch.setattr(speech, "_run", run)
    stop_after = 4
    with pytest.raises(KeyboardInterrupt):
        speech.evaluate(["hard"], None, None, 2, None, speakers=3)
    assert len(done) == 4
    stop_after = None
    report = speech.evaluate(["hard"], None, None, 2, None, speakers=3)
    assert sorted(done) == [0, 1, 2, 3, 4, 5]  # two sentences, three voices, each once
    found = report["systems"]["ours"]
    assert found["sentences"] == 6 and found["nearest_is_right_ours"] == 1 and found["eer_ours"] == 0
    assert report["vocoder"] == "the vocoder" and len(report["sentences"]["ours"]) == 6
    assert "voices" not in report["sentences"]["ours"][0]


@pytest.mark.parametrize(
    "arguments, part",
    [([], False), (["--speakers", "all"], False), (["--limit", "2"], True), (["--speakers", "one"], True),
     (["--speakers", "3"], True), (["--sets", "hard"], True)],
)  # fmt: skip
def test_a_run_that_leaves_something_out_does_not_replace_the_report(tmp_path, monkeypatch, arguments, part):
    monkeypatch.setattr(speech, "evaluate", lambda *_: {"systems": {}})
    monkeypatch.setattr(speech, "REPORT", tmp_path / "docs" / "speech.json")
    monkeypatch.setattr(speech, "CACHE", tmp_path)
    assert speech.main(arguments) == 0
    assert (tmp_path / "speech_part.json").exists() == part and speech.REPORT.exists() != part


@pytest.mark.parametrize("arguments", [["--speakers", "0"], ["--speakers", "some"], ["--processes", "0"]])
def test_an_option_out_of_range_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        speech.main(arguments)
    assert left.value.code == 2 and arguments[0] in capsys.readouterr().err


def test_cases_are_the_same_every_time_and_keep_the_reference_apart():
    if not (SPEECH / "manifest.tsv").exists() or not (CACHE / "speech_index.npz").exists():
        pytest.skip("needs the recorded speech, decoded in the cache")
    cache = SpeechCache()
    cases = choose_cases(cache, ["held-back", "hard"])
    assert cases == choose_cases(cache, ["held-back", "hard"])
    assert min(len(indices) for indices in enrolment(cases).values()) >= 4
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


def test_the_card_gets_flat_numbers_and_keeps_its_weights(tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file

    from core.inference.registry import Card, read_card
    from core.training.checkpoint import publish

    old = {"validation_mel": 0.3, "unseen_hard_wer": 0.9}
    path = publish(Card("synthesizer", "tempo", "tiny", metrics=old), {"weight": torch.ones(3)}, tmp_path)
    monkeypatch.setattr(speech.registry, "find", lambda role, name: read_card(path))
    systems = {"real": {"wer": 0.4}, "ours": {"wer": 0.21, "eer_ours": 0.1}, "ours (hard)": {"wer": 0.1, "lost": 0}}
    speech.write_card({"synthesizer": "tiny", "vocoder": "vocos", "speakers_for_each_sentence": 10, "systems": systems})
    metrics = read_card(path).metrics
    assert metrics["unseen_held-back_wer"] == 0.21 and metrics["unseen_hard_wer"] == 0.1
    assert metrics["unseen_hard_lost"] == 0 and metrics["validation_mel"] == 0.3
    assert all(not isinstance(value, dict) for value in metrics.values())
    assert load_file(path)["weight"].tolist() == [1, 1, 1]


POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from core.evaluation.speech import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
        pool.submit(os.getpid).result()
        print("begun", flush=True)
        time.sleep(60)
"""


def test_workers_end_when_the_evaluation_is_killed(tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, tmp_path / "pool.py"], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout.readline() == b"begun\n"
        parent.kill()
        parent.communicate(timeout=20)  # the worker has this pipe too: it ends with whoever is the last to go
