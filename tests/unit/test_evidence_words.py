"""Evidence as people read it: words, never the names of fields."""

from __future__ import annotations

from dataclasses import fields

from wavepool.listeners.evidence import evidence_words
from wavepool.model import Evidence, SidecarTrouble, StopReason, Verdict, VerdictKind, WatchdogRule
from wavepool.units import MIB


def words(evidence: Evidence, kind: VerdictKind = VerdictKind.FAILED) -> list[str]:
    return list(evidence_words(Verdict(kind=kind, exit_code=evidence.exit_code, evidence=evidence)))


def test_nothing_is_said_twice_and_nothing_of_what_did_not_happen() -> None:
    assert words(Evidence(reason="exit code 3", exit_code=3, oom_flag=False, signal_sender="task")) == []
    assert words(Evidence(exit_code=0), VerdictKind.SUCCESS) == []


def test_a_stop_and_a_memory_kill() -> None:
    stopped = Evidence(
        reason="x",
        exit_code=143,
        signal="SIGTERM",
        signal_sender="wavepool",
        stop_reason=StopReason.WATCHDOG,
        memory_peak_bytes=25 * MIB,
        oom_flag=False,
    )
    assert words(stopped, VerdictKind.WATCHDOG) == [
        "exit code 143",
        "ended by SIGTERM, sent by Wavepool",
        "stopped by the watchdog",
        "at most 25MB of memory seen",
    ]
    killed = Evidence(reason="x", exit_code=137, oom_kills=2, oom_flag=True, oom_scope="host", child_oom=True)
    assert words(killed, VerdictKind.OOM)[1:] == [
        "2 kills for memory by the kernel",
        "a child of it was killed for memory, and it went on",
        "it was below its own memory limit, and the host had no memory left",
    ]


def test_no_field_is_told_by_its_name() -> None:
    full = Evidence(
        exit_code=137,
        signal="SIGKILL",
        signal_sender="other",
        oom_flag=True,
        oom_scope="own",
        child_oom=True,
        memory_peak_bytes=1,
        daemon_error="no space left",
        stop_reason=StopReason.TIMEOUT,
        repeats_work=True,
        sidecars=(SidecarTrouble(name="db", reason="it ended"),),
        rule=WatchdogRule.PIDS,
        reading=1.0,
        threshold=1.0,
        command=2,
    )
    told = "; ".join(words(full))
    assert "sidecar db: it ended" in told
    assert "the system said: no space left" in told
    assert "its command 2 failed" in told
    assert not [field.name for field in fields(Evidence) if "_" in field.name and field.name in told]
    assert "True" not in told
