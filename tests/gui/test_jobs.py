"""Lanes and jobs: exactly one outcome, in the GUI thread, in order; cancel is at once."""

import threading
import time

import pytest

from core.errors import Cancelled
from toolbox.jobs import Lane


@pytest.fixture
def lane(qapp, qtbot):
    lane = Lane("test")
    yield lane
    with qtbot.waitSignal(lane.stopped, timeout=5000):
        lane.stop()
    assert lane.join(2)


def watch(job):
    """Every signal of a job, in the order it came."""
    seen = []
    for name in ("started", "succeeded", "failed", "cancelled", "finished"):
        getattr(job, name).connect(lambda *value, name=name: seen.append((name, threading.current_thread())))
    job.progressed.connect(lambda fraction, note: seen.append(("progressed", threading.current_thread())))
    return seen


def names(seen):
    return [name for name, _ in seen]


def test_success_comes_once_in_the_gui_thread(qtbot, lane):
    job = lane.submit("add", lambda report: 1 + 1)
    seen = watch(job)
    with qtbot.waitSignals([job.succeeded, job.finished]) as blocker:
        pass
    assert blocker.all_signals_and_args[0].args == (2,)
    assert names(seen) == ["started", "succeeded", "finished"]
    assert {thread for _, thread in seen} == {threading.main_thread()}


def test_an_exception_is_handed_over_and_the_lane_lives_on(qtbot, lane):
    def fail(report):
        raise RuntimeError("out of memory")  # torch says it this way: it must not read as anything else

    job = lane.submit("fail", fail)
    seen = watch(job)
    with qtbot.waitSignal(job.failed) as blocker:
        pass
    assert isinstance(blocker.args[0], RuntimeError)
    assert names(seen) == ["started", "failed", "finished"]
    following = lane.submit("go on", lambda report: "fine")
    with qtbot.waitSignal(following.succeeded) as blocker:
        pass
    assert blocker.args == ["fine"]


def test_cancel_ends_the_job_at_once_and_the_worker_at_its_next_report(qtbot, lane):
    entered, left = threading.Event(), []

    def work(report):
        try:
            while True:
                report(0.5, "working")
                entered.set()
                time.sleep(0.005)
        except Cancelled:
            left.append(time.monotonic())
            raise

    job = lane.submit("long", work)
    seen = watch(job)
    qtbot.waitUntil(entered.is_set)
    asked = time.monotonic()
    job.cancel()
    assert names(seen)[-2:] == ["cancelled", "finished"]
    after = len(seen)
    following = lane.submit("next", lambda report: None)
    with qtbot.waitSignal(following.succeeded):
        pass
    assert left[0] - asked < 0.25
    assert len(seen) == after, "after cancel() nothing else may arrive"


def test_a_queued_job_that_is_cancelled_never_runs(qtbot, lane):
    gate, ran = threading.Event(), []
    first = lane.submit("first", lambda report: gate.wait(5))
    second = lane.submit("second", lambda report: ran.append(1))
    second.cancel()
    gate.set()
    with qtbot.waitSignal(first.succeeded):
        pass
    third = lane.submit("third", lambda report: None)
    with qtbot.waitSignal(third.succeeded):
        pass
    assert not ran


def test_a_newer_request_of_the_same_verb_cancels_the_older(qtbot, lane):
    gate = threading.Event()
    older = lane.submit("older", lambda report: (gate.wait(5), report(1, "")), verb="speak")
    other = lane.submit("other", lambda report: "kept", verb="load")
    seen = watch(older)
    newer = lane.submit("newer", lambda report: "new", verb="speak")
    assert names(seen)[-2:] == ["cancelled", "finished"]
    gate.set()
    with qtbot.waitSignals([other.succeeded, newer.succeeded]):
        pass


def test_progress_is_throttled_to_percents(qtbot, lane):
    def work(report):
        for i in range(10_000):
            report(i / 10_000, "same note")

    job = lane.submit("many", work)
    seen = watch(job)
    with qtbot.waitSignal(job.finished):
        pass
    assert 10 < names(seen).count("progressed") <= 101


def test_stop_cancels_what_runs(qtbot, qapp):
    lane = Lane("stopping")
    entered = threading.Event()

    def work(report):
        while True:
            entered.set()
            report(0.1, "")
            time.sleep(0.005)

    job = lane.submit("endless", work)
    seen = watch(job)
    qtbot.waitUntil(entered.is_set)
    with qtbot.waitSignal(lane.stopped, timeout=2000):
        lane.stop()
    assert lane.join(1) and names(seen)[-2:] == ["cancelled", "finished"]
    late = lane.submit("too late", lambda report: None)
    seen = watch(late)
    with qtbot.waitSignal(late.finished):
        pass
    assert names(seen) == ["cancelled", "finished"] and not lane.jobs
