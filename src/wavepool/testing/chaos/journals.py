"""The journal is damaged while nobody works on the run, two want to work on it, or the one that does stands still."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Mapping
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


@journals.add("truncated", "the journal of a dead run loses its end, wherever that is")
async def truncated(round_: Round) -> None:
    """The database, its log or the file beside it is cut at a random length."""
    path = await _dead_run(round_)
    cut = round_.rng.randrange(path.stat().st_size)
    round_.inject(f"{path.name} cut to {cut} bytes")
    with path.open("r+b") as file:
        file.truncate(cut)
    await _refused_or_right(round_)


@journals.add("flipped", "one bit of a dead run's journal is flipped, wherever it is")
async def flipped(round_: Round) -> None:
    """In the database, its log or the file beside it."""
    path = await _dead_run(round_)
    content = bytearray(path.read_bytes())
    bit = round_.rng.randrange(len(content) * 8)
    round_.inject(f"bit {bit} of {path.name} flipped")
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    await _refused_or_right(round_)


@journals.add("two-orchestrators", "a second orchestrator wants a run that has one")
async def two_orchestrators(round_: Round) -> None:
    """It is refused at once, whichever verb it is, and the first one does not notice."""
    plan = _plan(round_)
    first = await _at_work(round_, plan)
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
    process = await _at_work(round_, plan, running=3)
    round_.inject(f"SIGSTOP for {round_.dose.pause_s:.0f} s")
    process.send(signal.SIGSTOP)
    round_.ground.touch("go")
    await anyio.sleep(round_.dose.pause_s)
    process.send(signal.SIGCONT)
    await process.finish(DEADLINE_S)
    await verify(round_, RUN, {**EXPECTED, "too-long": VerdictKind.TIMEOUT})


def _plan(round_: Round) -> Path:
    return round_.ground.plan(
        [batch("first", "exit 0"), batch("waits", WAIT), batch("fails", f"{WAIT}; exit 3")], [batch("after", "")]
    )


async def _at_work(round_: Round, plan: Path, *, running: int = 2) -> Orchestrator:
    """A run whose first task is final while `running` others run until they may `go`."""
    process = await round_.ground.run(plan, RUN)

    def at_work() -> bool:
        kinds = [type(stamped.fact) for stamped in round_.ground.facts(RUN)]
        return kinds.count(facts.AttemptStarted) > running and facts.AttemptRemoved in kinds

    if not await process.until(at_work, "a run at work", DEADLINE_S):
        round_.check("the run came to work", False, process.last_words())
    return process


async def _dead_run(round_: Round) -> Path:
    """A run that was killed at work; one of the files that its journal is made of, chosen at random."""
    process = await _at_work(round_, _plan(round_))
    await process.kill()
    files = sorted(path for path in _files(round_) if path.stat().st_size and not path.name.endswith("-shm"))
    return round_.rng.choice(files)


async def _refused_or_right(round_: Round) -> None:
    """A resume either says what is wrong and touches nothing, or (where the damage hit nothing) is right.

    What the damaged run had running is removed by the ground's owner label; nothing else can know of it.
    """
    before = _digests(round_)
    round_.ground.touch("go")
    process = await round_.ground.resume(RUN)
    code = await process.finish(DEADLINE_S)
    if code != INFRASTRUCTURE:
        await verify(round_, RUN, EXPECTED)
        return
    said = process.last_words()
    round_.check("a clear error", "journal" in said and "error:" in said, said)
    changed = [name for name, digest in _digests(round_).items() if before.get(name) != digest]
    round_.check("nothing overwritten", not changed, f"changed: {changed}")
    await _clean_up_after_damage(round_)


async def _clean_up_after_damage(round_: Round) -> None:
    """By `wavepool recover`: the run can never be gone on with, and what it left is found by label."""
    command = await round_.ground.command("recover", "--state-dir", str(round_.ground.state.path), "--grace", "0")
    code = await command.finish(DEADLINE_S)
    round_.check("recover clears what it left", code == 0, f"exit code {code}: {command.last_words()}")


def _files(round_: Round) -> list[Path]:
    directory = round_.ground.state.run(RUN).path
    return [path for path in directory.glob("journal.db*") if path.is_file()]


def _digests(round_: Round) -> Mapping[str, str]:
    """Of the database, its log and its tip; the -shm is an index that SQLite mends."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _files(round_)
        if not path.name.endswith("-shm")
    }
