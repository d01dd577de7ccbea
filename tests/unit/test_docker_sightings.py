"""What events make of a container, and which containers are in a scope."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wavepool import labels
from wavepool.drivers.base import Phase, Scope
from wavepool.drivers.docker.watching.sightings import (
    OwnActs,
    Recent,
    Sighting,
    container_name,
    in_scope,
    scope_filter,
    sight,
)
from wavepool.drivers.docker.watching.verdict import Final, ending
from wavepool.model import AttemptId, VerdictKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = {labels.OWNER: "o", labels.RUN: "r", labels.WAVE: "1", labels.TASK: "t\n", labels.ATTEMPT: "2"}


def sighted() -> Sighting:
    found = sight("id", "name", LABELS)
    assert found is not None
    return found


def test_labels_name_the_attempt() -> None:
    found = sighted()
    assert found.handle.attempt == AttemptId("t\n", 2)
    assert (found.run_id, found.wave, found.phase) == ("r", 1, Phase.CREATED)


@pytest.mark.parametrize("without", [labels.TASK, labels.ATTEMPT, labels.RUN, labels.WAVE])
def test_what_names_no_attempt_is_none(without: str) -> None:
    assert sight("id", "name", {key: value for key, value in LABELS.items() if key != without}) is None
    assert sight("id", "name", {**LABELS, labels.ATTEMPT: "x"}) is None


def test_a_life_in_events() -> None:
    found = sighted()
    assert found.apply("create", {}, NOW)
    assert found.apply("start", {}, NOW)
    assert (found.phase, found.complete) == (Phase.RUNNING, True)
    assert not found.apply("oom", {}, NOW)
    assert not found.apply("kill", {"signal": "15"}, NOW)
    assert not found.apply("kill", {"signal": "SIGKILL"}, NOW)
    assert not found.apply("exec_create: sh", {}, NOW)
    assert found.apply("die", {"exitCode": "137"}, NOW + timedelta(seconds=1))
    seen = found.witnessed(OwnActs())
    assert (seen.oom_at, seen.kills, seen.stopped_by_us) == (NOW, (15, 9), False)
    assert found.died == (137, NOW + timedelta(seconds=1))
    assert found.apply("destroy", {}, NOW)
    assert found.phase is Phase.GONE


def test_a_flood_of_kills_is_bounded_and_keeps_the_last_sigkill() -> None:
    found = sighted()
    for _ in range(1000):
        found.apply("kill", {"signal": "1"}, NOW)
    found.apply("kill", {"signal": "9"}, NOW)
    assert len(found.kills) <= 8
    assert 9 in found.kills


def test_a_die_event_after_a_gap_proves_nothing() -> None:
    """A daemon that starts after a crash ends what it finds running, and tells it."""
    found = sighted()
    found.in_gap = True
    found.apply("die", {"exitCode": "0"}, NOW)
    assert found.witnessed(OwnActs()).daemon_was_away


def test_what_starts_after_a_gap_ends_by_itself() -> None:
    found = sighted()
    found.in_gap = True
    assert found.apply("start", {}, NOW)
    assert not found.witnessed(OwnActs()).daemon_was_away


def test_memory_kills_that_are_told_twice_or_out_of_order_count_once() -> None:
    found = sighted()
    for second in (2, 1, 2, 1):
        found.apply("oom", {}, NOW + timedelta(seconds=second))
    seen = found.witnessed(OwnActs())
    assert (seen.oom_kills, seen.oom_at) == (2, NOW + timedelta(seconds=2))


def test_own_acts_are_remembered() -> None:
    own = OwnActs()
    own.note_stop("a")
    own.note_remove("b")
    assert (own.stopped("a"), own.stopped("b"), own.removed("b"), own.removed("a")) == (True, False, True, False)


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (Scope(owner="o"), True),
        (Scope(owner="other"), False),
        (Scope(owner="o", run_id="r"), True),
        (Scope(owner="o", run_id="r2"), False),
        (Scope(owner="o", wave=1), True),
        (Scope(owner="o", wave=10), False),
        (Scope(owner="o", detached=True), False),
        (Scope(owner="o", detached=False), True),
    ],
)
def test_a_scope_is_exact(scope: Scope, inside: bool) -> None:
    assert in_scope(LABELS, scope) is inside
    wanted = scope_filter(scope)
    assert wanted[0] == f"{labels.OWNER}={scope.owner}"
    assert (labels.DETACHED in wanted) is bool(scope.detached)


def test_a_name_is_not_that_of_a_link() -> None:
    assert container_name({"Names": ["/other/alias", "/real"]}) == "real"
    assert container_name({}) == ""


def test_the_oldest_of_what_is_remembered_goes_first_and_the_memory_stays() -> None:
    recent = Recent(3)
    for text in ("a", "b", "a", "c"):
        recent.add(text)
    assert all(text in recent for text in "abc")
    recent.add("d")
    assert "a" not in recent
    assert all(text in recent for text in "bcd")
    for number in range(100):
        recent.add(f"id-{number}")
    assert [number for number in range(100) if f"id-{number}" in recent] == [97, 98, 99]
    assert len(recent._block) == 3 * 16


def test_the_counter_of_its_cgroup_tells_what_no_event_told() -> None:
    found = sighted()
    found.apply("oom", {}, NOW)
    found.note_counter(1, NOW + timedelta(seconds=3))
    assert found.oom_at == NOW, "that is the kill which the event told of"
    found.note_counter(2, NOW + timedelta(seconds=3))
    assert (found.oom_at, found.oom_kills) == (NOW + timedelta(seconds=3), 2)


@pytest.mark.parametrize(
    ("code", "kills", "kind"),
    [
        (137, (58.0,), VerdictKind.FAILED),
        (137, (58.0, 59.9), VerdictKind.OOM),
        (1, (58.0, 59.9), VerdictKind.FAILED),
        (0, (58.0, 59.9), VerdictKind.SUCCESS),
    ],
    ids=["a child's, and 137 later", "a child's, then its own", "a child's, passed on as 1", "it went on"],
)
@pytest.mark.parametrize("flag", [False, True], ids=["the engine missed it", "the engine marked it"])
def test_a_counter_tells_the_kill_of_the_main_process_from_a_child_s(
    code: int, kills: tuple[float, ...], kind: VerdictKind, *, flag: bool
) -> None:
    found = sighted()
    found.apply("start", {}, NOW)
    for count, at_s in enumerate(kills, 1):
        found.note_counter(count, NOW + timedelta(seconds=at_s))
    final = Final(
        status="exited", exit_code=code, started_at=NOW, finished_at=NOW + timedelta(seconds=60), oom_flag=flag
    )
    told = ending(final, found.witnessed(OwnActs()))
    assert told is not None
    assert told.kind is kind
    assert (told.evidence.oom_kills, told.evidence.child_oom) == (len(kills), None if kind is VerdictKind.OOM else True)
