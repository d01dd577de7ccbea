"""The orchestrator dies by SIGKILL, at random moments and at chosen calls, and another process goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from wavepool.model import VerdictKind
from wavepool.testing.chaos.ground import batch
from wavepool.testing.chaos.invariants import verify
from wavepool.testing.chaos.orchestrator import Orchestrator
from wavepool.testing.chaos.scenario import Registry, Round

kills = Registry()

RUN = "killed"
PHASE = "killed after "
"""Starts the name of a figure; what follows is the kind of the last fact."""
NOTHING = "nothing"
LIFE_S = 60.0
"""Longer than any process of these scenarios needs; one that was to die and has not ended by then hangs."""

RANDOM_S = (0.3, 2.6)
"""Between which a process dies that dies at a random moment: the interpreter starts in the first third."""

PHASES = {
    "TasksAdded": 1,
    "WaveOpened": 2,
    "WavePrepared": None,
    "StartIntended": 9,
    "AttemptStarted": 9,
    "StopIntended": 1,
    "AttemptExited": 9,
    "TaskRequeued": 2,
    "TaskSettled": 7,
    "TaskSkipped": 1,
    "AttemptRemoved": 9,
    "RunResumed": None,
    "RunFinished": 1,
}
"""Kinds of fact that a commit of this plan can end with, so that a process can die directly after it: how many of them
a whole run has (None: any number, as each process adds its own). With WaveSettled none ends: the next wave opens, or
the run ends, in the same commit."""

EXPECTED = {
    "quick": VerdictKind.SUCCESS,
    "slow": VerdictKind.SUCCESS,
    "fails": VerdictKind.FAILED,
    "second-try": VerdictKind.SUCCESS,
    "too-long": VerdictKind.TIMEOUT,
    "after": VerdictKind.SUCCESS,
    "never": VerdictKind.SKIPPED,
    "last": VerdictKind.SUCCESS,
}
ATTEMPTS = {"second-try": 2, "fails": 2}
OPTIONS = ("--retries", "2", "--retry-on", "failed", "--parallel", "3", "--isolate", "wave")
WARM = ("--warm", "3")
"""In every second round, where containers can be parked."""


def write_plan(round_: Round) -> Path:
    """Eight tasks in two waves that end in every way, and so pass through every phase."""
    return round_.ground.plan(
        [
            batch("quick", "exit 0"),
            batch("slow", "sleep 0.7"),
            batch("fails", "exit 3"),
            batch("second-try", "if [ -e tried ]; then exit 0; fi; touch tried; exit 5"),
            batch("too-long", "trap '' TERM; sleep 30", timeout="2"),
        ],
        [
            batch("after", "sleep 0.3", depends_on=["slow"]),
            batch("never", "exit 0", depends_on=["fails"]),
            batch("last", "exit 0"),
        ],
    )


@kills.add("kill", "SIGKILL of the orchestrator at random moments and after chosen facts, resumed, killed again")
async def kill(round_: Round) -> None:
    """Half of the deaths come at a random moment from outside, half directly around a commit of a chosen kind."""
    plan = write_plan(round_)
    turn = round_.number * 3
    aims = [*PHASES][turn % len(PHASES) :] + [*PHASES][: turn % len(PHASES)]  # each round begins with others
    for _ in range(round_.dose.kills):
        if not await _die_once(round_, plan, aims):
            break
    process = await begin_or_resume(round_, plan)
    await process.finish(LIFE_S)
    await verify(round_, RUN, EXPECTED, attempts=ATTEMPTS)


async def _die_once(round_: Round, plan: Path, aims: list[str]) -> bool:
    """One process that is to die. False where it came to the end of the run instead."""
    aim = _next_aim(round_, aims) if round_.rng.random() < 0.5 else None
    if aim is None:
        delay_s = round_.rng.uniform(*RANDOM_S)
        process = await begin_or_resume(round_, plan)
        await process.ended_within(delay_s)
        moment = f"after {delay_s:.2f} s"
    else:
        side = round_.rng.choice(("before", "after", "after"))
        process = await begin_or_resume(round_, plan, point=f"{side} append *{aim}@1")
        await process.ended_within(LIFE_S)
        moment = f"{side} {aim}"
    if not await process.kill():
        return False
    note_death(round_, RUN, moment)
    return True


def _next_aim(round_: Round, aims: list[str]) -> str | None:
    """The next kind of which there are more to come; it goes to the end of the list. The end of the run comes last."""
    had = Counter(type(stamped.fact).__name__ for stamped in round_.ground.facts(RUN))
    for aim in aims:
        most = PHASES[aim]
        if (most is None and not had) or (most is not None and had[aim] >= most):
            continue
        if aim == "RunFinished" and had["TaskSettled"] < 3:
            continue
        aims.remove(aim)
        aims.append(aim)
        return aim
    return None


@kills.add("steps", "SIGKILL of the orchestrator before and after each commit and each call, one after another")
async def steps(round_: Round) -> None:
    """A run for each point; where the dose asks for fewer, a random choice of points."""
    points = range(1, 1000) if round_.dose.steps is None else sorted(round_.rng.sample(range(1, 60), round_.dose.steps))
    for number in points:
        if not await _one_step(round_, number):
            break


async def _one_step(round_: Round, number: int) -> bool:
    """One run that dies at its point of this number and is taken up. False where it has no such point."""
    run_id = f"step-{number}"
    plan = round_.ground.plan(
        [batch(f"one-{number}", "exit 0"), batch(f"two-{number}", "sleep 0.2; exit 1")],
        [batch(f"three-{number}", "exit 0")],
    )
    first = await round_.ground.run(plan, run_id, "--isolate", "none", point=f"*@{number}")
    await first.finish(LIFE_S)
    reached = await first.kill()
    if reached:
        note_death(round_, run_id, f"at point {number}")
        again = await round_.ground.run(plan, run_id, "--isolate", "none")
        await again.finish(LIFE_S)
    expected = {
        f"one-{number}": VerdictKind.SUCCESS,
        f"two-{number}": VerdictKind.FAILED,
        f"three-{number}": VerdictKind.SUCCESS,
    }
    await verify(round_, run_id, expected)
    return reached


async def begin_or_resume(round_: Round, plan: Path, *, point: str | None = None) -> Orchestrator:
    """`run` until the journal has the plan, from then on `resume`."""
    ground = round_.ground
    if ground.committed(RUN) == 0:
        warm = WARM if round_.number % 2 == 0 and ground.driver == "docker" else ()
        return await ground.run(plan, RUN, *OPTIONS, *warm, point=point)
    return await ground.resume(RUN, point=point)


def note_death(round_: Round, run_id: str, moment: str) -> None:
    """Count the death, also by the last fact that the journal has."""
    facts = round_.ground.facts(run_id)
    phase = type(facts[-1].fact).__name__ if facts else NOTHING
    round_.inject(f"SIGKILL {moment}")
    round_.count("kills")
    round_.count(f"{PHASE}{phase}")
