"""The Docker driver's verdicts, one rule at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from wavepool.drivers.docker.watching.verdict import Final, Witnessed, ending, lost, parse_time, read_final
from wavepool.model import Ending, VerdictKind

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
DEATH = START + timedelta(seconds=60)
EXITED = Final(status="exited", exit_code=0, started_at=START, finished_at=DEATH, oom_flag=False)
ALL_SEEN = Witnessed(complete=True)


def weigh(exit_code: int, seen: Witnessed = ALL_SEEN, *, oom_flag: bool | None = False) -> Ending:
    found = ending(replace(EXITED, exit_code=exit_code, oom_flag=oom_flag), seen)
    assert found is not None
    assert found.evidence.exit_code == exit_code
    return found


def test_exit_0_is_success_without_evidence_of_anything_else() -> None:
    found = weigh(0)
    assert found.kind is VerdictKind.SUCCESS
    assert (found.started_at, found.finished_at) == (START, DEATH)
    assert found.evidence.signal is None
    assert found.evidence.child_oom is None


def test_137_by_its_own_will_is_failed() -> None:
    found = weigh(137)
    assert found.kind is VerdictKind.FAILED
    assert found.evidence.signal_sender == "task"


def test_137_unseen_has_no_known_sender() -> None:
    assert weigh(137, Witnessed()).evidence.signal_sender is None


@pytest.mark.parametrize("before", [timedelta(0), timedelta(milliseconds=30), timedelta(seconds=1)])
def test_137_with_the_mark_and_a_kill_just_before_is_oom(before: timedelta) -> None:
    found = weigh(137, Witnessed(complete=True, oom_at=DEATH - before), oom_flag=True)
    assert found.kind is VerdictKind.OOM
    assert (found.evidence.signal, found.evidence.signal_sender) == ("SIGKILL", "kernel")


def test_137_with_the_mark_and_no_events_is_oom() -> None:
    assert weigh(137, Witnessed(), oom_flag=True).kind is VerdictKind.OOM


def test_137_with_a_counted_kill_is_oom_though_the_engine_missed_it() -> None:
    seen = Witnessed(complete=True, oom_at=DEATH - timedelta(milliseconds=20))
    assert weigh(137, seen, oom_flag=False).kind is VerdictKind.OOM


@pytest.mark.parametrize(
    ("own_limit", "scope", "advice"),
    [(True, "own", "more memory"), (False, "host", "--budget"), (None, None, "more memory")],
)
def test_an_oom_tells_whose_memory_was_used_up(own_limit: bool | None, scope: str | None, advice: str) -> None:
    seen = Witnessed(complete=True, oom_at=DEATH, oom_kills=1, own_limit=own_limit)
    found = weigh(137, seen)
    assert (found.kind, found.evidence.oom_scope) == (VerdictKind.OOM, scope)
    assert advice in found.evidence.reason


def test_137_long_after_a_memory_kill_is_a_child_oom_and_failed() -> None:
    found = weigh(137, Witnessed(complete=True, oom_at=DEATH - timedelta(seconds=5)), oom_flag=True)
    assert found.kind is VerdictKind.FAILED
    assert found.evidence.child_oom is True
    assert found.evidence.signal_sender == "task"


@pytest.mark.parametrize(("stopped", "sender"), [(True, "wavepool"), (False, "other")])
def test_137_after_a_sigkill_through_the_api_is_not_oom(stopped: bool, sender: str) -> None:
    seen = Witnessed(complete=True, kills=(15, 9), stopped_by_us=stopped, oom_at=DEATH)
    found = weigh(137, seen, oom_flag=True)
    assert found.kind is VerdictKind.FAILED
    assert (found.evidence.signal, found.evidence.signal_sender) == ("SIGKILL", sender)


@pytest.mark.parametrize("code", [0, 1, 3, 143])
def test_a_memory_kill_with_another_exit_code_is_a_child_s(code: int) -> None:
    found = weigh(code, Witnessed(complete=True, oom_at=DEATH - timedelta(milliseconds=5)), oom_flag=True)
    assert found.kind is (VerdictKind.FAILED if code else VerdictKind.SUCCESS)
    assert found.evidence.child_oom is True
    assert "child" in found.evidence.reason


def test_143_is_told_apart_by_who_sent_it() -> None:
    assert weigh(143, Witnessed(complete=True, kills=(15,), stopped_by_us=True)).evidence.signal_sender == "wavepool"
    assert weigh(143, Witnessed(complete=True, kills=(15,))).evidence.signal_sender == "other"
    assert weigh(143).evidence.signal_sender == "task"


def test_a_fault_of_its_own_is_not_blamed_on_our_stop() -> None:
    found = weigh(139, Witnessed(complete=True, kills=(15,), stopped_by_us=True))
    assert (found.evidence.signal, found.evidence.signal_sender) == (None, "task"), "it may have returned 139 itself"
    assert "SIGSEGV" in found.evidence.reason


def test_126_and_127_say_what_is_wrong_with_the_program() -> None:
    assert "not executable" in weigh(126).evidence.reason
    assert "not found" in weigh(127).evidence.reason
    assert {weigh(126).kind, weigh(127).kind} == {VerdictKind.FAILED}


def test_created_has_no_ending_yet() -> None:
    assert ending(Final(status="created", exit_code=0), Witnessed()) is None


def test_running_and_paused_have_no_ending() -> None:
    for status in ("running", "paused", "restarting"):
        assert ending(replace(EXITED, status=status), Witnessed()) is None


def test_never_started_with_the_daemon_s_words_is_a_start_error() -> None:
    words = 'exec: "/nope": stat /nope: no such file or directory'
    found = ending(Final(status="created", exit_code=127, error=words), Witnessed())
    assert found is not None
    assert found.kind is VerdictKind.START_ERROR
    assert found.evidence.daemon_error == words
    assert found.evidence.exit_code == 127
    assert not found.transient


def test_a_start_error_of_a_busy_daemon_is_transient() -> None:
    found = ending(Final(status="created", exit_code=128, error="context deadline exceeded"), Witnessed())
    assert found is not None
    assert found.transient


@pytest.mark.parametrize("status", ["removing", "dead"])
def test_being_removed_is_lost(status: str) -> None:
    found = ending(replace(EXITED, status=status, exit_code=137), ALL_SEEN)
    assert found is not None
    assert found.kind is VerdictKind.LOST


def test_what_ended_with_its_daemon_is_lost_whatever_its_exit_code() -> None:
    """A task may answer the SIGTERM of a stopping daemon with 0."""
    away = Witnessed(daemon_was_away=True)
    assert weigh(143, away).kind is VerdictKind.LOST
    assert weigh(0, away).kind is VerdictKind.LOST
    assert weigh(143, replace(away, stopped_by_us=True)).kind is VerdictKind.FAILED


@pytest.mark.parametrize(("code", "kind"), [(255, VerdictKind.LOST), (0, VerdictKind.SUCCESS), (1, VerdictKind.FAILED)])
def test_an_exit_code_that_the_engine_may_have_made_up_proves_nothing(code: int, kind: VerdictKind) -> None:
    """With live-restore Docker 28 writes 255 for all that ended while it was away."""
    assert weigh(code, Witnessed(code_unproven=True)).kind is kind
    assert weigh(255, Witnessed()).kind is VerdictKind.FAILED
    assert weigh(255, Witnessed(code_unproven=True, stopped_by_us=True)).kind is VerdictKind.FAILED


@pytest.mark.parametrize(
    ("code", "began_after_death_s", "kind"),
    [
        (143, 10, VerdictKind.LOST),
        (137, -0.001, VerdictKind.LOST),
        (255, 10, VerdictKind.LOST),
        (0, 10, VerdictKind.SUCCESS),
        (1, 10, VerdictKind.FAILED),
        (143, 3600, VerdictKind.FAILED),
        (143, -3600, VerdictKind.FAILED),
    ],
)
def test_one_that_nobody_watched_and_that_fell_about_when_its_daemon_began(
    code: int, began_after_death_s: float, kind: VerdictKind
) -> None:
    assert weigh(code, Witnessed(daemon_began=DEATH + timedelta(seconds=began_after_death_s))).kind is kind


def test_a_start_noted_after_the_end_is_put_right() -> None:
    found = ending(replace(EXITED, started_at=DEATH + timedelta(milliseconds=2)), ALL_SEEN)
    assert found is not None
    assert found.started_at == found.finished_at == DEATH


def test_lost_without_a_record() -> None:
    found = lost("its container was removed by someone else")
    assert found.kind is VerdictKind.LOST
    assert found.evidence.exit_code is None


def test_times_of_the_engine() -> None:
    assert parse_time("2026-11-20T23:27:19.122149423Z") == datetime(2026, 11, 20, 23, 27, 19, 122149, tzinfo=UTC)
    assert parse_time("2026-11-20T23:27:19Z") == datetime(2026, 11, 20, 23, 27, 19, tzinfo=UTC)
    assert parse_time("2026-11-20T23:27:19.5+02:00") == datetime(2026, 11, 20, 21, 27, 19, 500000, tzinfo=UTC)
    for none in ("0001-01-01T00:00:00Z", "", None, "yesterday"):
        assert parse_time(none) is None


def test_a_state_of_inspect_is_read() -> None:
    state = {
        "Status": "exited",
        "ExitCode": 3,
        "OOMKilled": True,
        "Error": "",
        "StartedAt": "2026-01-01T12:00:00Z",
        "FinishedAt": "2026-01-01T12:01:00Z",
    }
    assert read_final(state) == replace(EXITED, exit_code=3, oom_flag=True)
