"""What must hold after every scenario, read from the journal and from the traces that the tasks themselves left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.model import AttemptId, VerdictKind
from wavepool.testing.chaos.scenario import Round

CALL_DEADLINE_S = 90.0
"""Between an intention and what came of it, in one process: above the longest deadline of a call of ours (60 s)."""

NEVER_RAN = frozenset({VerdictKind.START_ERROR, VerdictKind.LOST})
"""Verdicts of attempts that need not have left a mark."""


async def verify(
    round_: Round, run_id: str, expected: Mapping[str, VerdictKind], *, attempts: Mapping[str, int] | None = None
) -> None:
    """Check the whole run: verdicts, executions, what is left, deadlines.

    Args:
        expected: task id -> its verdict.
        attempts: task id -> how many attempts it must have had; 1 (a skipped one 0) where it is not named.
    """
    journal = round_.ground.facts(run_id)
    check_verdicts(round_, journal, expected)
    check_attempts(round_, journal, expected, attempts or {})
    check_executions(round_, journal)
    check_deadlines(round_, journal)


def check_verdicts(round_: Round, journal: Iterable[Stamped], expected: Mapping[str, VerdictKind]) -> None:
    """Every task has exactly one final verdict, the right one; every attempt one."""
    last: dict[str, VerdictKind] = {}
    final: Counter[str] = Counter()
    settled: Counter[AttemptId] = Counter()
    for stamped in journal:
        match stamped.fact:
            case facts.AttemptSettled() as fact:
                settled[fact.attempt] += 1
                last[fact.attempt.task_id] = fact.verdict.kind
            case facts.TaskSettled() as fact:
                final[fact.task_id] += 1
            case facts.TaskSkipped() as fact:
                final[fact.task_id] += 1
                last.setdefault(fact.task_id, VerdictKind.SKIPPED)
            case _:
                pass
    wrong = {task: f"{last.get(task)}, not {kind}" for task, kind in expected.items() if last.get(task) is not kind}
    round_.check("the right verdict for every task", not wrong, f"wrong: {wrong}")
    twice = [f"{task}: {final[task]}" for task in expected if final[task] != 1]
    twice += [f"{attempt}: {count}" for attempt, count in settled.items() if count != 1]
    round_.check("exactly one final verdict each", not twice, f"verdicts: {twice}")


def check_attempts(
    round_: Round, journal: Iterable[Stamped], expected: Mapping[str, VerdictKind], attempts: Mapping[str, int]
) -> None:
    """No task had more or fewer attempts than it must have had."""
    began: Counter[str] = Counter(
        stamped.fact.attempt.task_id for stamped in journal if isinstance(stamped.fact, facts.StartIntended)
    )
    usual = {task: 0 if kind is VerdictKind.SKIPPED else 1 for task, kind in expected.items()}
    wrong = {task: began[task] for task, count in {**usual, **attempts}.items() if began[task] != count}
    round_.check("as many attempts as there must be", not wrong, f"attempts: {wrong}")


def check_executions(round_: Round, journal: Iterable[Stamped]) -> None:
    """Every attempt that ran left one mark, and none left two."""
    ran: Counter[str] = Counter()
    may_have_run: Counter[str] = Counter()
    for stamped in journal:
        if isinstance(stamped.fact, facts.AttemptSettled):
            kind = stamped.fact.verdict.kind
            (may_have_run if kind in NEVER_RAN else ran)[stamped.fact.attempt.task_id] += 1
    marks = Counter(round_.ground.marks())
    round_.count("executions", sum(marks[task] for task in ran | may_have_run))
    wrong = [
        f"{task}: {marks[task]} executions of {ran[task]} attempts"
        for task in ran | may_have_run
        if not ran[task] <= marks[task] <= ran[task] + may_have_run[task]
    ]
    round_.check("no attempt lost, none executed twice", not wrong, "; ".join(wrong))


def check_deadlines(round_: Round, journal: Iterable[Stamped]) -> None:
    """No call took longer than its deadline. What a dead process left open is not counted: nobody was waiting."""
    open_since: dict[tuple[type, AttemptId], float] = {}
    slow: list[str] = []
    for stamped in journal:
        fact = stamped.fact
        if isinstance(fact, facts.RunResumed):
            open_since.clear()
        if not isinstance(fact, _OF_ATTEMPTS):
            continue
        began = open_since.pop((type(fact), fact.attempt), None)
        if began is not None and stamped.boot_s - began > CALL_DEADLINE_S:
            slow.append(f"{type(fact).__name__} of {fact.attempt} came after {stamped.boot_s - began:.0f} s")
        for ends in _ENDS.get(type(fact), ()):
            open_since[ends, fact.attempt] = stamped.boot_s
    round_.check("no call over its deadline", not slow, "; ".join(slow))


async def check_nothing_left(round_: Round) -> None:
    """Containers, networks, processes, records, slots, control groups, secrets of this ground."""
    left = await round_.ground.left_behind()
    round_.check("nothing left", not left, "; ".join(left[:10]))


_OF_ATTEMPTS = (
    facts.StartIntended,
    facts.AttemptStarted,
    facts.StopIntended,
    facts.AttemptExited,
    facts.AttemptSettled,
    facts.AttemptRemoved,
)
_ENDS: Mapping[type, tuple[type, ...]] = {
    facts.StartIntended: (facts.AttemptStarted,),
    facts.StopIntended: (facts.AttemptExited,),
    facts.AttemptExited: (facts.AttemptSettled,),
    facts.AttemptSettled: (facts.AttemptRemoved,),
}
"""What is told when a call that began with this fact has ended."""
