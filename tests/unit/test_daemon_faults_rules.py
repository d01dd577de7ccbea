"""The rules of the fault proxy: which call or event they hit, how often, and the same again by the same seed."""

from __future__ import annotations

import json

import pytest

from wavepool.testing.daemon_faults import EventMangler, Fault, FaultKind, Faults, StreamCut


def event(action: str) -> bytes:
    return json.dumps({"Action": action}).encode()


def mangled(*rules: Fault, actions: str = "abcd") -> str:
    """The actions that come out, in order."""
    out = EventMangler(Faults(*rules)).mangle(event(action) for action in actions)
    return "".join(json.loads(line)["Action"] for _, line in out)


def test_a_rule_hits_from_its_first_so_many_times() -> None:
    faults = Faults(Fault(kind=FaultKind.REFUSE, path="/start$", first=2, times=2))
    calls = ["POST /a/start", "GET /a/json", "POST /b/start", "POST /c/start", "POST /d/start"]
    assert [call for call in calls if faults.on_call(call)] == ["POST /b/start", "POST /c/start"]
    assert faults.hits() == {FaultKind.REFUSE: 2}


def test_the_same_seed_gives_the_same_faults() -> None:
    def hits(seed: int) -> list[int]:
        faults = Faults(Fault(kind=FaultKind.LOSE, times=1000, chance=0.3), seed=seed)
        return [n for n in range(100) if faults.on_call("GET /x")]

    assert hits(1) == hits(1) != hits(2)
    assert 10 < len(hits(1)) < 60


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [(FaultKind.EVENTS_DROP, "acd"), (FaultKind.EVENTS_DOUBLE, "abbcd"), (FaultKind.EVENTS_REORDER, "acbd")],
)
def test_what_becomes_of_events(kind: FaultKind, wanted: str) -> None:
    assert mangled(Fault(kind=kind, path="b")) == wanted


def test_a_late_event_holds_up_those_after_it() -> None:
    faults = Faults(Fault(kind=FaultKind.EVENTS_DELAY, path="b", hold_s=5))
    out = list(EventMangler(faults).mangle([event("a"), event("b"), event("c")]))
    assert [hold_s for hold_s, _ in out] == [0, 5, 0]


def test_a_cut_comes_in_the_middle_of_an_event() -> None:
    mangler = EventMangler(Faults(Fault(kind=FaultKind.EVENTS_CUT, path="b")))
    seen: list[bytes] = []
    with pytest.raises(StreamCut):
        seen.extend(line for _, line in mangler.mangle([event("a"), event("b")]))
    assert mangler._faults.hits() == {FaultKind.EVENTS_CUT: 1}
