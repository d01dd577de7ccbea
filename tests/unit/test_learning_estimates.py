"""Which tasks are alike, what an attempt tells, and what few samples let us expect."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.core.facts import AttemptSettled
from wavepool.learning import Basis, History, Sample, kind_of, sample_of, twin_of
from wavepool.learning.history import ASSUMED_S
from wavepool.learning.kinds import KIND_MAX, program_of
from wavepool.learning.quantiles import headroom, quantile
from wavepool.model import AgentOrder, AttemptId, Evidence, Limits, LogRecord, Task, Verdict, VerdictKind
from wavepool.units import MIB

AT = datetime(2030, 1, 1, tzinfo=UTC)


def task(**fields):
    return Task(id="a", key="a", wave=1, limits=Limits(memory_bytes=512 * MIB), **{"tier": 1, **fields})


def settled(kind=VerdictKind.SUCCESS, *, lasted_s=10.0, **evidence):
    return AttemptSettled(
        attempt=AttemptId("a", 1),
        verdict=Verdict(kind=kind, exit_code=0, evidence=Evidence(**evidence)),
        log=LogRecord(),
        started_at=AT + timedelta(seconds=1),
        finished_at=AT + timedelta(seconds=1 + lasted_s),
    )


def taken(fact):
    return sample_of(task(), "i", fact, intended_at=AT, settled_at=AT + timedelta(seconds=12))


def test_a_million_tasks_that_are_nobody_s_twin_need_one_answer():
    """Made anew for each, the answers would take minutes and hundreds of megabytes before anything starts."""
    history = History([taken(settled())])
    first, second = (history.expected(task(prompt=prompt), "i") for prompt in ("one", "another"))
    assert first is second
    assert first.basis is Basis.KIND
    assert history.expected(task(), "i").basis is Basis.TWIN


# -- kinds --


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (["pytest", "-q"], "pytest"),
        (["/usr/bin/make", "all"], "make"),
        (["sh", "-c", "CI=1 pytest -q tests"], "pytest"),
        (["bash", "-euc", "(cd /x; make)"], "cd"),
        (["sh", "build.sh", "x"], "build.sh"),
        (["sh"], "sh"),
        (["sh", "-c"], "sh"),
        (["python3", "-m", "pytest"], "pytest"),
        (["python", "tools/build.py"], "build.py"),
        (["python", "-c", "print(1)"], "python"),
        (["npm", "test"], "npm test"),
        (["env", "A=1", "nice", "-n", "5", "cargo", "build"], "cargo"),
        (["timeout", "30s", "sh", "-c", "sleep 5"], "sleep"),
        (["env"], "env"),
        ([""], ""),
    ],
)
def test_a_command_is_about_its_program(command, program):
    assert program_of(tuple(command)) == program


def test_a_kind_is_what_the_task_names_else_what_runs_in_it():
    assert kind_of(task(kind="lint", command=("ls",)), "i") == "lint"
    assert kind_of(task(command=("ls", "-l"), tier=3), "i") == "ls, tier 3"
    assert kind_of(task(commands=(("make",), ("ls",))), "i") == "make, tier 1"
    assert kind_of(task(agent=AgentOrder(name="claude", model="m"), prompt="x"), "i") == "claude m, tier 1"
    assert kind_of(task(), "image:1") == "image:1, tier 1"
    assert kind_of(task(image="own"), "image:1") == "own, tier 1"


def test_a_kind_fits_into_a_table():
    assert kind_of(task(kind="\x1b[2J" + "x" * 200), "i") == "?[2J" + "x" * (KIND_MAX - 5) + "…"


def test_twins_are_given_the_same_work():
    one = task(command=("ls",), files=("a",))
    assert twin_of(one, "i") == twin_of(task(command=("ls",), files=("a",), tier=4, timeout_s=1.0), "i")
    changes = [{"files": ()}, {"prompt": "p"}, {"command": None}, {"env": {"A": "1"}}, {"kind": "k"}, {"id": "b"}]
    others = [replace(one, **change) for change in changes]
    assert len({twin_of(each, "i") for each in [one, *others]} | {twin_of(one, "j")}) == 8
    assert twin_of(task(prompt="\udcff"), "i")


# -- samples --


def test_a_success_tells_how_long_it_took_and_what_it_used():
    sample = taken(settled(memory_peak_bytes=7))
    assert (sample.duration_s, sample.start_s, sample.end_s, sample.peak_bytes) == (10.0, 1.0, 1.0, 7)
    assert (sample.kind, sample.limit_bytes, sample.own_oom) == ("i, tier 1", 512 * MIB, False)


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_only_verdicts_that_tell_something_are_kept(kind):
    sample = taken(settled(kind))
    telling = {"success", "failed", "timeout", "oom", "watchdog"}
    assert (sample is not None) == (kind in telling)
    if sample is not None:
        assert (sample.duration_s is not None) == (kind in {"success", "timeout"})


def test_a_memory_kill_at_its_own_limit_says_that_it_needs_more():
    assert taken(settled(VerdictKind.OOM)).own_oom
    assert taken(settled(VerdictKind.SUCCESS, child_oom=True)).own_oom
    assert not taken(settled(VerdictKind.OOM, oom_scope="host")).own_oom


def test_clocks_that_differ_give_no_negative_times():
    assert taken(settled(lasted_s=-5)).duration_s == 0.0


# -- quantiles --

READINGS = st.lists(st.floats(0, 1e12), min_size=1).map(sorted)


@given(READINGS, st.floats(0, 1), st.floats(0, 1))
def test_a_quantile_lies_between_what_was_seen_and_rises_with_p(ordered, p, q):
    low, high = sorted((p, q))
    assert ordered[0] <= quantile(ordered, low) <= quantile(ordered, high) * (1 + 1e-12) <= ordered[-1] * (1 + 1e-9)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=18).map(sorted))
def test_a_p95_of_few_is_the_largest(ordered):
    assert quantile(ordered, 0.95) == ordered[-1]


def test_quantiles_are_weibulls():
    ordered = [1.0, 2.0, 3.0, 4.0]
    assert [quantile(ordered, p) for p in (0.0, 0.2, 0.3, 0.5, 0.8, 1.0)] == [1.0, 1.0, 1.5, 2.5, 4.0, 4.0]


def test_the_fewer_were_seen_the_more_is_put_on_top():
    assert [headroom(n) for n in (1, 2, 4)] == pytest.approx([1.0, 0.6, 0.4])
    assert 0.2 < headroom(10_000) < 0.201


# -- what is expected --


def sample(task, duration_s=None, peak=None, **fields):
    return Sample(
        kind=kind_of(task, "i"),
        twin=twin_of(task, "i"),
        tier=task.tier,
        limit_bytes=task.limits.memory_bytes,
        verdict=VerdictKind.SUCCESS,
        duration_s=duration_s,
        peak_bytes=peak,
        **fields,
    )


def test_the_very_task_beats_its_kind_which_beats_its_tier():
    one, sibling = task(kind="k", prompt="one"), task(kind="k", prompt="two")
    stranger = task(kind="other")
    history = History([sample(one, 5.0), sample(sibling, 7.0), sample(stranger, 100.0), sample(one, 6.0)])
    assert (history.expected(one, "i").basis, history.expected(one, "i").duration_s) == (Basis.TWIN, 5.5)
    third = history.expected(task(kind="k", prompt="three"), "i")
    assert (third.basis, third.duration_s, third.durations_s) == (Basis.KIND, 6.0, (5.0, 6.0, 7.0))
    assert history.expected(task(kind="new"), "i").basis is Basis.TIER
    nothing = history.expected(task(kind="new", tier=2), "i")
    assert (nothing.basis, nothing.duration_s, nothing.peak_bytes) == (Basis.NONE, ASSUMED_S, None)


def test_a_twin_that_only_failed_tells_its_memory_and_no_duration():
    one, sibling = task(kind="k", prompt="one"), task(kind="k", prompt="two")
    history = History([sample(one, None, 9), sample(sibling, 7.0, 3)])
    expected = history.expected(one, "i")
    assert (expected.basis, expected.duration_s, expected.peak_bytes) == (Basis.KIND, 7.0, 9)


def test_of_one_that_met_its_limit_all_of_that_is_expected():
    one = task(kind="k")
    assert History([sample(one, 1.0, 3, own_oom=True)]).expected(one, "i").peak_bytes == 512 * MIB
