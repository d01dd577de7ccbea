"""Whose a thing is, and what is done about it: the rules of `wavepool recover`, on made-up looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from wavepool import labels
from wavepool.drivers.holdings import HeldContainer, HeldNetwork, HeldSecrets
from wavepool.engine.recover.classify import EXEC_LIFETIME_S, Terms, classify
from wavepool.engine.recover.findings import Action, Fate, Finding, Recovery, ThingKind
from wavepool.engine.recover.report import RecoveryReport, acts_of
from wavepool.engine.recover.runs import RunLook, RunState
from wavepool.engine.recover.survey import Snapshot

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OLD = NOW - timedelta(hours=1)
YOUNG = NOW - timedelta(minutes=1)
TERMS = Terms(grace_s=600)
ENDED_FIRST = (Action.STOP, Action.ARCHIVE_LOG, Action.REMOVE)


def run_look(state: RunState = RunState.UNFINISHED, last_sign: datetime | None = OLD, **fields: object) -> RunLook:
    return replace(RunLook(id="r", state=state, last_sign=last_sign, driver="docker"), **fields)  # type: ignore[arg-type]


def container(name: str = "c", *, running: bool = True, since: datetime = OLD, **marks: str) -> HeldContainer:
    found = {labels.OWNER: "me", labels.RUN: "r", **{f"wavepool.{key.replace('_', '-')}": marks[key] for key in marks}}
    found = {key: value for key, value in found.items() if value}
    return HeldContainer(
        driver="docker", id=f"id-{name}", name=name, labels=found, running=running, started=True, since=since
    )


def network(name: str, scope: str, *users: str, run: str = "r") -> HeldNetwork:
    found = {labels.OWNER: "me", labels.SCOPE: scope} | ({labels.RUN: run} if run else {})
    return HeldNetwork(id=f"id-{name}", name=name, labels=found, users=frozenset(users), since=OLD)


def look(run: RunLook | None, *things: HeldContainer | HeldNetwork | HeldSecrets, **fields: object) -> Snapshot:
    snapshot = Snapshot(
        at=NOW,
        runs={} if run is None else {run.id: run},
        containers=tuple(each for each in things if isinstance(each, HeldContainer)),
        networks=tuple(each for each in things if isinstance(each, HeldNetwork)),
        secrets=tuple(each for each in things if isinstance(each, HeldSecrets)),
    )
    return replace(snapshot, **fields)  # type: ignore[arg-type]


def only(recovery: Recovery, kind: ThingKind) -> Finding:
    (found,) = [each for each in recovery.findings() if each.kind is kind]
    return found


def fate(recovery: Recovery) -> Fate:
    (run,) = recovery.runs
    return run.fate


def test_a_live_runs_things_are_never_touched() -> None:
    run = run_look(RunState.LIVE, OLD, holder="7 host", slots=("a.1",), has_socket=True)
    secret = HeldSecrets(name="c", run_id="r", since=OLD)
    found = classify(
        look(run, container(), container("x", role="exec"), network("n", "wave"), secret), Terms(grace_s=0)
    )
    assert list(acts_of(found)) == []
    assert "the run is live (process 7 host)" in only(found, ThingKind.SLOT).why


@pytest.mark.parametrize(("last_sign", "expected"), [(YOUNG, Fate.LEAVE), (OLD, Fate.REAP)])
def test_an_unfinished_run_is_left_for_a_resume_for_the_grace(last_sign: datetime, expected: Fate) -> None:
    found = classify(look(run_look(last_sign=last_sign), container()), TERMS)
    assert fate(found) is expected
    assert only(found, ThingKind.CONTAINER).acts == (ENDED_FIRST if expected is Fate.REAP else ())
    if expected is Fate.LEAVE:
        assert "`wavepool resume r`" in only(found, ThingKind.RUN).why
        assert "reaped in 9m00s" in only(found, ThingKind.RUN).why


def test_with_resume_it_is_adopted_whatever_its_age() -> None:
    found = classify(look(run_look(), container()), Terms(grace_s=600, adopt=True))
    assert [(finding.kind, action) for finding, action in acts_of(found)] == [(ThingKind.RUN, Action.RESUME_RUN)]


def test_the_journal_is_closed_before_the_slots_go_as_their_marks_tell_what_was_started() -> None:
    run = run_look(slots=("a.1",), has_socket=True)
    found = classify(look(run, container(running=False), network("n", "task", "id-c")), TERMS)
    assert [(finding.kind, action) for finding, action in acts_of(found)] == [
        (ThingKind.CONTAINER, Action.ARCHIVE_LOG),
        (ThingKind.CONTAINER, Action.REMOVE),
        (ThingKind.NETWORK, Action.REMOVE),
        (ThingKind.RUN, Action.CLOSE_RUN),
        (ThingKind.SLOT, Action.REMOVE),
        (ThingKind.SOCKET, Action.REMOVE),
    ]


def test_of_a_run_that_is_over_what_is_left_goes_at_once() -> None:
    secret = HeldSecrets(name="c", run_id="r", since=YOUNG)
    found = classify(look(run_look(RunState.OVER, YOUNG), container(since=YOUNG), secret), TERMS)
    assert fate(found) is Fate.SWEEP
    assert only(found, ThingKind.SECRETS).acts == (Action.REMOVE,)
    assert only(found, ThingKind.RUN).acts == ()


@pytest.mark.parametrize("state", [RunState.DAMAGED, RunState.UNJOURNALED, RunState.MISSING])
def test_without_a_journal_the_newest_sign_of_all_counts(state: RunState) -> None:
    last_sign = None if state is RunState.MISSING else OLD
    young = classify(look(run_look(state, last_sign), container(since=OLD), container("d", since=YOUNG)), TERMS)
    assert list(acts_of(young)) == []
    old = classify(look(run_look(state, last_sign), container(since=OLD)), TERMS)
    assert only(old, ThingKind.CONTAINER).acts == ENDED_FIRST
    assert all(action is not Action.CLOSE_RUN for _, action in acts_of(old)), "there is no journal to write to"


@pytest.mark.parametrize(
    ("end", "expected"),
    [(str(int(NOW.timestamp()) + 60), ()), (str(int(NOW.timestamp())), ENDED_FIRST), ("", ()), ("soon", ())],
)
def test_spawned_ones_stay_until_their_lifetime_ends(end: str, expected: tuple[Action, ...]) -> None:
    run = run_look(RunState.UNJOURNALED, OLD)
    found = classify(look(run, container(detached="true", lifetime_end=end)), Terms(grace_s=0))
    assert only(found, ThingKind.CONTAINER).acts == expected


def test_a_spawn_under_way_is_live_whatever_the_lifetime_says() -> None:
    found = classify(look(run_look(RunState.LIVE), container(detached="true", lifetime_end="1")), Terms(grace_s=0))
    assert only(found, ThingKind.CONTAINER).acts == ()


def test_stacks_are_the_users_own() -> None:
    stack = container(role="stack", run="")
    stray = network("s", "stack", run="")
    found = classify(look(None, stack, stray), Terms(grace_s=0))
    assert list(acts_of(found)) == []
    assert all("stack" in finding.why for finding in found.findings())


@pytest.mark.parametrize(
    ("running", "age_s", "expected"),
    [(True, 60.0, ()), (True, EXEC_LIFETIME_S + 1, ENDED_FIRST), (False, 60.0, ENDED_FIRST[1:])],
)
def test_a_shell_is_left_while_somebody_may_be_in_it(running: bool, age_s: float, expected: tuple[Action, ...]) -> None:
    shell = container(role="exec", running=running, since=NOW - timedelta(seconds=age_s))
    found = classify(look(run_look(RunState.OVER), shell), TERMS)
    assert only(found, ThingKind.CONTAINER).acts == expected


def test_sidecars_go_with_their_run() -> None:
    found = classify(look(run_look(), container("c.db", role="sidecar")), TERMS)
    assert only(found, ThingKind.CONTAINER).acts == ENDED_FIRST
    assert only(found, ThingKind.CONTAINER).what == "sidecar"


def test_a_shared_network_goes_when_nothing_that_stays_uses_it() -> None:
    shared = network("shared", "shared", "id-c", run="")
    gone = classify(look(run_look(), container(), shared), TERMS)
    assert only(gone, ThingKind.NETWORK).acts == (Action.REMOVE,)
    foreign = classify(look(run_look(), container(), replace(shared, users=frozenset({"id-c", "other"}))), TERMS)
    leased = classify(look(run_look(), container(), shared, leased=frozenset({"shared"})), TERMS)
    resumable = classify(look(run_look(last_sign=YOUNG), replace(shared, users=frozenset())), TERMS)
    for spared in (foreign, leased, resumable):
        assert only(spared, ThingKind.NETWORK).acts == ()


def test_a_network_of_the_run_that_others_use_stays() -> None:
    found = classify(look(run_look(), container(), network("n", "wave", "id-c", "other")), TERMS)
    assert only(found, ThingKind.NETWORK).acts == ()


def test_slots_stay_while_anything_of_the_run_does() -> None:
    run = run_look(RunState.UNJOURNALED, slots=("a.1",))
    stays = container(detached="true", lifetime_end=str(int(NOW.timestamp()) + 60))
    assert only(classify(look(run, stays), TERMS), ThingKind.SLOT).acts == ()
    assert only(classify(look(run), TERMS), ThingKind.SLOT).acts == (Action.REMOVE,)


def test_while_its_engine_is_away_nothing_of_a_run_is_touched() -> None:
    run = run_look(slots=("a.1",))
    found = classify(look(run, away={"docker": "gone"}), TERMS)
    assert list(acts_of(found)) == []
    assert "docker cannot be asked" in only(found, ThingKind.SLOT).why
    other = classify(look(replace(run, driver="process"), away={"docker": "gone"}), TERMS)
    assert only(other, ThingKind.SLOT).acts == (Action.REMOVE,)
    assert RecoveryReport(owner="me", grace_s=600, recovery=other).exit_code == 3


def test_an_engine_that_was_not_to_be_asked_is_no_failure() -> None:
    found = classify(look(run_look(), away={"docker": "left out"}), TERMS)
    report = RecoveryReport(owner="me", grace_s=600, recovery=found, unasked=frozenset({"docker"}))
    assert report.exit_code == 0


def test_a_clock_that_was_put_back_makes_nothing_old() -> None:
    found = classify(look(run_look(last_sign=NOW + timedelta(hours=1)), container()), TERMS)
    assert fate(found) is Fate.LEAVE


def test_runs_of_which_nothing_is_there_are_no_findings() -> None:
    found = classify(look(run_look(RunState.OVER)), TERMS)
    assert (found.runs, found.loose) == ((), ())
