"""Two want to work on one run, two runs go on at once, or the one orchestrator stands still."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio

from wavepool.core import facts
from wavepool.model import VerdictKind
from wavepool.testing.chaos.ground import batch
from wavepool.testing.chaos.invariants import verify
from wavepool.testing.chaos.orchestrator import Orchestrator
from wavepool.testing.chaos.scenario import Registry, Round

journals = Registry()

RUN = "written"
DEADLINE_S = 300.0
INFRASTRUCTURE = 3
EXPECTED = {
    "first": VerdictKind.SUCCESS,
    "waits": VerdictKind.SUCCESS,
    "fails": VerdictKind.FAILED,
    "after": VerdictKind.SUCCESS,
}
WAIT = "while [ ! -e go ]; do sleep 0.1; done"


@journals.add("two-orchestrators", "a second orchestrator wants a run that has one")
async def two_orchestrators(round_: Round) -> None:
    """It is refused at once, whichever verb it is, and the first one does not notice."""
    plan = write_plan(round_)
    first = await at_work(round_, plan)
    round_.inject("`run` and `resume` of a live run")
    for second in (await round_.ground.run(plan, RUN), await round_.ground.resume(RUN)):
        code = await second.finish(DEADLINE_S)
        said = second.last_words()
        refused = code == INFRASTRUCTURE and f"run {RUN} is held by" in said
        round_.check("the second one is refused", refused, f"exit code {code}: {said}")
    round_.ground.touch("go")
    await first.finish(DEADLINE_S)
    await verify(round_, RUN, EXPECTED)


@journals.add("side-by-side", "two runs of one owner at once, on one network")
async def side_by_side(round_: Round) -> None:
    """Each ends as if it were alone."""
    ids = ("left", "right")
    round_.inject("two runs at once")
    runs = []
    for run_id in ids:
        batches = [batch(f"{run_id}-{number}", f"sleep 0.{number}") for number in range(4)]
        runs.append(await round_.ground.run(round_.ground.plan(batches, [batch(f"{run_id}-end", "")]), run_id))
    for run in runs:
        await run.finish(DEADLINE_S)
    for run_id in ids:
        names = [*(f"{run_id}-{number}" for number in range(4)), f"{run_id}-end"]
        await verify(round_, run_id, dict.fromkeys(names, VerdictKind.SUCCESS))


@journals.add("stopped", "the orchestrator is stopped (SIGSTOP) while tasks run, end, and reach their time")
async def stopped(round_: Round) -> None:
    """What happened meanwhile is found when it goes on."""
    plan = round_.ground.plan(
        [
            batch("first", "exit 0"),
            batch("waits", WAIT),
            batch("fails", f"{WAIT}; exit 3"),
            batch("too-long", "exec sleep 600", timeout=str(2 + round_.dose.pause_s / 2)),
        ],
        [batch("after", "")],
    )
    process = await at_work(round_, plan, running=3)
    round_.inject(f"SIGSTOP for {round_.dose.pause_s:.0f} s")
    process.send(signal.SIGSTOP)
    round_.ground.touch("go")
    await anyio.sleep(round_.dose.pause_s)
    process.send(signal.SIGCONT)
    await process.finish(DEADLINE_S)
    await verify(round_, RUN, {**EXPECTED, "too-long": VerdictKind.TIMEOUT})


def write_plan(round_: Round) -> Path:
    return round_.ground.plan(
        [batch("first", "exit 0"), batch("waits", WAIT), batch("fails", f"{WAIT}; exit 3")], [batch("after", "")]
    )


async def at_work(round_: Round, plan: Path, *, running: int = 2) -> Orchestrator:
    """A run whose first task is final while `running` others run until they may `go`."""
    process = await round_.ground.run(plan, RUN)

    def works() -> bool:
        kinds = [type(stamped.fact) for stamped in round_.ground.facts(RUN)]
        return kinds.count(facts.AttemptStarted) > running and facts.AttemptRemoved in kinds

    if not await process.until(works, "a run at work", DEADLINE_S):
        round_.check("the run came to work", False, process.last_words())
    return process
