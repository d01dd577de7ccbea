"""Which tasks `wavepool retry` takes, and what it says about the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wavepool.engine.naming import UnknownTask
from wavepool.engine.retrying import entries_named, tasks_to_retry
from wavepool.errors import SettingError
from wavepool.model import VerdictKind

FAILED = VerdictKind.FAILED


@pytest.fixture
def run(new_run, make_task):
    tasks = [
        make_task("good"),
        make_task("bad"),
        make_task("worse"),
        make_task("needs-bad", depends_on=("bad",)),
        make_task("never", wave=2),
    ]
    made = new_run(tasks)
    made.ends("good")
    made.ends("bad", FAILED)
    made.ends("worse", FAILED)
    return made


def test_all_that_failed_where_none_is_named(run):
    assert tasks_to_retry(run.state, ()) == ("bad", "worse")


def test_those_that_are_named_once_each(run):
    assert tasks_to_retry(run.state, ("worse", "worse", "never")) == ("worse", "never")
    assert tasks_to_retry(run.state, ("bad", "needs-bad")) == ("bad", "needs-bad")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("good", "a task that did not succeed; this one did"),
        ("needs-bad", "its dependency 'bad' did not succeed\nName 'bad' too"),
    ],
)
def test_one_that_cannot_be_tried_again_is_refused(run, named, words):
    with pytest.raises(SettingError) as caught:
        tasks_to_retry(run.state, (named,))
    assert words in str(caught.value)


def test_they_are_named_as_everywhere(run):
    assert tasks_to_retry(run.state, ("wo", run.state.tasks["never"].task.key)) == ("worse", "never")
    for named, words in (
        ("goof", "'goof' is no task of this run\nThere are 'good'."),
        ("x", "'x' is no task of this run\nThere are 'good', 'bad', 'worse', 'needs-bad', 'never'."),
        ("ne", "'ne' is the start of 2 tasks\nThere are 'needs-bad', 'never'."),
    ):
        with pytest.raises(UnknownTask) as caught:
            tasks_to_retry(run.state, (named,))
        assert str(caught.value) == words


def test_one_that_has_not_ended_is_gone_on_with_anyway(new_run, make_task):
    run = new_run([make_task("t")])
    with pytest.raises(SettingError, match=r"this one is active(?s:.*)wavepool resume r"):
        tasks_to_retry(run.state, ("t",))


def test_nothing_where_nothing_failed(new_run, make_task):
    run = new_run([make_task("t")])
    run.ends("t")
    assert tasks_to_retry(run.state, ()) is None


def test_of_many_tasks_the_nearest_are_named_first_and_not_all(new_run, make_task):
    run = new_run([make_task(f"t{number}") for number in range(100)])
    with pytest.raises(UnknownTask, match=r"There are 't99', ") as caught:
        tasks_to_retry(run.state, ("tt99",))
    assert caught.value.advice.count(",") == 4
    with pytest.raises(UnknownTask, match=r"There are 't0', .*, …\."):
        tasks_to_retry(run.state, ("x",))


def test_tasks_may_be_named_by_their_keys(new_run, make_task):
    """All tasks are gone through once, not once for each that is named: the run waits meanwhile."""
    run = new_run([replace(make_task(f"t{number}"), key=f"k{number}") for number in range(100)])

    class Counted(dict):
        passes = 0

        def values(self):
            Counted.passes += 1
            return super().values()

    run.state.tasks = Counted(run.state.tasks)
    named = [*(f"k{number}" for number in range(50, 100)), "t1", "t2", "t99"]
    found = [entry.task.id for entry in entries_named(run.state, named)]
    assert found == [*(f"t{number}" for number in range(50, 100)), "t1", "t2", "t99"]
    assert Counted.passes == 1
    with pytest.raises(UnknownTask, match="'k100' is no task of this run"):
        entries_named(run.state, ["k1", "k100"])
