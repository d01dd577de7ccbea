"""From exit records to endings."""

from __future__ import annotations

import signal

import pytest

from wavepool.drivers.process.records import ExitRecord
from wavepool.drivers.process.verdict import ending_of
from wavepool.model import VerdictKind

KILLED = int(signal.SIGKILL)
TERMINATED = int(signal.SIGTERM)


def exited(code: int) -> int:
    """The status of wait(2) for an exit."""
    return code << 8


def test_exit_0_is_success_without_a_reason() -> None:
    ending = ending_of(ExitRecord(status=exited(0), started_at=1.0, finished_at=2.5, memory_peak_bytes=7))
    assert ending.kind is VerdictKind.SUCCESS
    assert (ending.evidence.exit_code, ending.evidence.reason, ending.evidence.signal_sender) == (0, "", None)
    assert ending.evidence.memory_peak_bytes == 7
    assert ending.started_at is not None
    assert ending.finished_at is not None
    assert (ending.finished_at - ending.started_at).total_seconds() == 1.5


@pytest.mark.parametrize("code", [1, 42, 126, 127, 255])
def test_another_exit_is_failed_by_the_task(code: int) -> None:
    evidence = ending_of(ExitRecord(status=exited(code))).evidence
    assert (evidence.exit_code, evidence.signal, evidence.signal_sender) == (code, None, "task")
    assert str(code) in evidence.reason


def test_137_by_its_own_will_is_not_oom() -> None:
    ending = ending_of(ExitRecord(status=exited(137), oom_kills=0))
    assert ending.kind is VerdictKind.FAILED
    assert (ending.evidence.exit_code, ending.evidence.signal, ending.evidence.signal_sender) == (137, None, "task")
    assert "own will" in ending.evidence.reason


def test_killed_with_an_oom_kill_is_oom() -> None:
    ending = ending_of(ExitRecord(status=KILLED, oom_kills=1, oom_age_s=0.0))
    assert ending.kind is VerdictKind.OOM
    assert (ending.evidence.exit_code, ending.evidence.signal, ending.evidence.signal_sender) == (
        137,
        "SIGKILL",
        "kernel",
    )


def test_killed_long_after_a_child_s_oom_kill_is_failed_by_somebody() -> None:
    ending = ending_of(ExitRecord(status=KILLED, oom_kills=1, oom_age_s=30.0))
    assert ending.kind is VerdictKind.FAILED
    assert (ending.evidence.signal_sender, ending.evidence.child_oom) == ("other", True)


def test_killed_without_an_oom_kill_is_failed_by_somebody() -> None:
    ending = ending_of(ExitRecord(status=KILLED, oom_kills=0))
    assert ending.kind is VerdictKind.FAILED
    assert ending.evidence.signal_sender == "other"
    assert "cannot be known" in ending.evidence.reason


def test_a_signal_of_ours_is_named_as_ours_even_after_an_oom_kill_of_a_child() -> None:
    ending = ending_of(ExitRecord(status=KILLED, oom_kills=1, signals_sent=("SIGTERM", "SIGKILL")))
    assert ending.kind is VerdictKind.FAILED
    assert ending.evidence.signal_sender == "wavepool"
    ending = ending_of(ExitRecord(status=TERMINATED, signals_sent=("SIGTERM",)))
    assert (ending.evidence.exit_code, ending.evidence.signal) == (143, "SIGTERM")


def test_another_signal_than_ours_is_not_ours() -> None:
    ending = ending_of(ExitRecord(status=int(signal.SIGSEGV) | 0x80, signals_sent=("SIGTERM",)))
    assert (ending.evidence.signal, ending.evidence.signal_sender) == ("SIGSEGV", "other")


@pytest.mark.parametrize(
    ("age_s", "kind"),
    [(0.0, VerdictKind.OOM), (1.0, VerdictKind.OOM), (None, VerdictKind.OOM), (1.1, VerdictKind.FAILED)],
)
def test_a_shell_that_passes_on_its_childs_oom_kill_is_oom_only_at_once(age_s: float | None, kind: VerdictKind) -> None:
    ending = ending_of(ExitRecord(status=exited(137), oom_kills=1, oom_age_s=age_s))
    assert ending.kind is kind
    assert ending.evidence.child_oom is True


def test_a_childs_oom_kill_is_evidence_where_the_main_process_went_on() -> None:
    for code, kind in ((0, VerdictKind.SUCCESS), (3, VerdictKind.FAILED)):
        ending = ending_of(ExitRecord(status=exited(code), oom_kills=2, oom_age_s=0.0))
        assert ending.kind is kind
        assert (ending.evidence.child_oom, ending.evidence.oom_kills) == (True, 2)
        assert "a child of it for memory" in ending.evidence.reason


@pytest.mark.parametrize(("code", "words"), [(127, "not found"), (126, "could not be executed")])
def test_what_could_not_be_executed_is_failed_with_the_kernels_words(code: int, words: str) -> None:
    ending = ending_of(ExitRecord(exec_error={"exit_code": code, "text": "kernel says no"}))
    assert ending.kind is VerdictKind.FAILED
    assert (ending.evidence.exit_code, ending.evidence.daemon_error) == (code, "kernel says no")
    assert words in ending.evidence.reason


def test_what_never_came_to_executing_is_a_start_error() -> None:
    assert ending_of(ExitRecord(setup_error="no such directory")).kind is VerdictKind.START_ERROR


def test_what_nobody_saw_is_lost() -> None:
    assert ending_of(ExitRecord(lost="Its supervisor vanished.")).evidence.reason == "Its supervisor vanished."
    assert ending_of(ExitRecord()).kind is VerdictKind.LOST
