"""The orchestrator dies at each step of the claim of a parked container, and another process goes on."""

from __future__ import annotations

from pathlib import Path

from wavepool.core import facts
from wavepool.model import VerdictKind
from wavepool.testing.chaos.ground import batch
from wavepool.testing.chaos.invariants import verify
from wavepool.testing.chaos.kills import LIFE_S, note_death
from wavepool.testing.chaos.orchestrator import Orchestrator, TookTooLong
from wavepool.testing.chaos.scenario import Registry, Round

claims = Registry()

PARKED = 4
"""All of the second wave: three that are claimed, and one that is given up."""

LOOK_AGAIN_S = 0.05
LOOKS = int(LIFE_S / LOOK_AGAIN_S)

POINTS = (
    "before park@1",
    "after park@1",
    f"after park@{PARKED}",
    "before unpark@1",
    "after unpark@1",
    "after append *StartIntended*@2",
    "before start@2",
    "before go@1",
    "after go@1",
    "after go@3",
    "before mark@1",
    "after mark@1",
    "after start@2",
    "before append *AttemptStarted*@2",
    "after append *AttemptStarted*@2",
    "before append *AttemptExited*@2",
    "after append *AttemptExited*@2",
    "before remove@3",
    "after remove@3",
)
"""The first start, and the first fact of each kind, are those of the one task that starts cold; the first two removals
are its own and that of what was given up."""

CLAIMED = POINTS[POINTS.index("before mark@1") :]
"""There its mark was seen, so whatever comes after it has run by its claim."""


@claims.add("claims", "SIGKILL of the orchestrator at each step of the claim of a parked container", docker=True)
async def at_each_step(round_: Round) -> None:
    """A run for each point; where the dose asks for fewer, a random choice of points."""
    count = len(POINTS) if round_.dose.steps is None else min(round_.dose.steps, len(POINTS))
    for number in sorted(round_.rng.sample(range(len(POINTS)), count)):
        await _die_at(round_, number)


async def _die_at(round_: Round, number: int) -> None:
    run_id, point = f"claim-{number}", POINTS[number]
    first = await round_.ground.run(
        _plan(round_, number), run_id, "--isolate", "none", "--warm", str(PARKED), point=point
    )
    await _let_go(round_, run_id, first, f"go-{number}")
    await first.finish(LIFE_S)
    died = await first.kill()
    round_.check(f"it died {point}", died, f"it ended with exit code {first.exit_code}: {first.last_words()}")
    if not died:
        return
    note_death(round_, run_id, point)
    round_.ground.touch(f"go-{number}")
    again = await round_.ground.resume(run_id)
    await again.finish(LIFE_S)
    expected = {
        f"fails-{number}": VerdictKind.FAILED,
        f"quick-{number}": VerdictKind.SUCCESS,
        f"slow-{number}": VerdictKind.SUCCESS,
        f"bad-{number}": VerdictKind.FAILED,
        f"never-{number}": VerdictKind.SKIPPED,
    }
    await verify(round_, run_id, expected)
    started = [each.fact for each in round_.ground.facts(run_id) if isinstance(each.fact, facts.AttemptStarted)]
    warm = sum(fact.warm for fact in started)
    round_.count("warm starts", warm)
    if point in CLAIMED:
        round_.check("what was claimed counts as warm, whoever heard of it", warm > 0, "all started cold")
    left = await round_.ground.parked(run_id)
    round_.check("nothing parked is left", left == 0, f"{left} containers wait")


def _plan(round_: Round, number: int) -> Path:
    """The first wave lasts until all of the second one is parked."""
    waits = f"until [ -e go-{number} ]; do sleep 0.02; done"
    return round_.ground.plan(
        [batch(f"fails-{number}", f"{waits}; exit 3")],
        [
            batch(f"quick-{number}", "exit 0"),
            batch(f"slow-{number}", "sleep 0.3"),
            batch(f"bad-{number}", "exit 4"),
            batch(f"never-{number}", "exit 0", depends_on=[f"fails-{number}"]),
        ],
    )


async def _let_go(round_: Round, run_id: str, process: Orchestrator, word: str) -> None:
    """End the first wave when all of the second one is parked, or its orchestrator is dead."""
    for _ in range(LOOKS):
        if await process.ended_within(LOOK_AGAIN_S):
            return
        if await round_.ground.parked(run_id) == PARKED:
            round_.ground.touch(word)
            return
    raise TookTooLong(f"not within {LIFE_S:.0f} s: {PARKED} parked containers; {process.last_words()}")
