"""A task goes wild: memory, processes, output. It gets its verdict, and nobody else notices."""

from __future__ import annotations

import hashlib
from pathlib import Path

import anyio

from wavepool.core import facts
from wavepool.model import LogRecord, VerdictKind
from wavepool.testing.chaos.ground import batch
from wavepool.testing.chaos.invariants import verify
from wavepool.testing.chaos.scenario import Registry, Round
from wavepool.units import MIB, human_size

tasks = Registry()

RUN = "wild"
DEADLINE_S = 600.0
PIDS = 40
BOMB_LOOKS = 10
"""How often the fork bomb is looked at before its first process may end, and all with it."""

MEMORY_MAX_BYTES = 512 * MIB
"""What an orchestrator may take at most, whatever its tasks write."""

LINE = "x" * 62
LOOK_AGAIN_S = 0.1
NEIGHBOUR = batch("neighbour", "sleep 1")
"""In the same wave as the wild one, and to be left in peace."""


@tasks.add("oom", "a task takes more memory than it may, alone and as the child of one that goes on", docker=True)
async def oom(round_: Round) -> None:
    """The kernel kills; the verdict says so, and that of a neighbour in the same wave does not."""
    hog = "dd if=/dev/zero of=/dev/null bs=64M count=1"
    plan = round_.ground.plan([batch("hog", f"exec {hog}"), batch("child", f"{hog}; exit 0"), NEIGHBOUR])
    round_.inject("64 MiB wanted of 16")
    await _run(round_, plan)
    expected = {"hog": VerdictKind.OOM, "child": VerdictKind.SUCCESS, "neighbour": VerdictKind.SUCCESS}
    await verify(round_, RUN, expected)


@tasks.add("fork-bomb", f"a task forks without end, up to its limit of {PIDS} processes", docker=True)
async def fork_bomb(round_: Round) -> None:
    """The bomb never has more processes than it may, and is gone with its first one."""
    wait = "while [ ! -e enough ]; do read -t 1 nothing <> waits; done"  # builtins alone: it cannot fork any more
    bomb = batch("bomb", f"mkfifo waits; b() {{ b | b & }}; b; {wait}; exit 0", memory="64m")
    plan = round_.ground.plan([bomb, NEIGHBOUR])
    round_.inject(f"a fork bomb at a limit of {PIDS}")
    process = await round_.ground.run(plan, RUN, "--isolate", "none", "--pids", str(PIDS))
    most = looks = 0
    while not await process.ended_within(LOOK_AGAIN_S):
        seen = await anyio.to_thread.run_sync(_processes_of, _container(round_, "bomb"))
        most, looks = max(most, seen), looks + (seen > 0)
        if looks >= BOMB_LOOKS:
            round_.ground.touch("enough")
    round_.check("the bomb held at its limit", 1 < most <= PIDS, f"{most} processes were seen, the limit is {PIDS}")
    await verify(round_, RUN, {"bomb": VerdictKind.SUCCESS, "neighbour": VerdictKind.SUCCESS})


@tasks.add("flood", "a task writes far more output than is kept")
async def flood(round_: Round) -> None:
    """Neither the disk nor the memory is filled, and the log says that it is cut."""
    size_bytes, limit_bytes = round_.dose.flood_bytes, round_.dose.flood_bytes // 32
    round_.inject(f"{human_size(size_bytes)} of output, of which {human_size(limit_bytes)} are kept")
    plan = round_.ground.plan([batch("flood", f"yes {LINE} | head -c {size_bytes}"), NEIGHBOUR])
    peak_bytes = await _run(round_, plan, WAVEPOOL_LOG_LIMIT=str(limit_bytes))
    await verify(round_, RUN, {"flood": VerdictKind.SUCCESS, "neighbour": VerdictKind.SUCCESS})
    record, path = _log(round_, "flood")
    kept_bytes = path.stat().st_size
    bound_bytes = limit_bytes + limit_bytes // 4 + MIB
    round_.check("the log is bounded", kept_bytes <= bound_bytes, f"{human_size(kept_bytes)} were kept")
    round_.check("enough of it is kept", kept_bytes >= limit_bytes // 2, f"only {human_size(kept_bytes)} were kept")
    round_.check("the log says that it is cut", record.truncated, f"{record}")
    _check_memory(round_, peak_bytes)


@tasks.add("lines", "a task writes a hundred thousand lines")
async def lines(round_: Round) -> None:
    """All are there, in order, and nothing else."""
    count = round_.dose.lines
    round_.inject(f"{count:,} lines of output")
    plan = round_.ground.plan([batch("lines", f"seq 1 {count}"), NEIGHBOUR])
    await _run(round_, plan)
    await verify(round_, RUN, {"lines": VerdictKind.SUCCESS, "neighbour": VerdictKind.SUCCESS})
    record, path = _log(round_, "lines")
    right = "".join(f"{number}\n" for number in range(1, count + 1)).encode()
    got = path.read_bytes()
    round_.check("every line is there, in order", got == right, f"{len(got):,} bytes of {len(right):,}")
    round_.check("the log is not said to be cut", not record.truncated, f"{record}")


@tasks.add("blob", "a task writes one line of 100 MB, without an end")
async def blob(round_: Round) -> None:
    """Every byte is kept where the limit allows it, in bounded memory."""
    size_bytes = round_.dose.blob_bytes
    round_.inject(f"{human_size(size_bytes)} of output without a newline")
    script = f"head -c {size_bytes} /dev/zero | tr '\\0' a; printf END"
    plan = round_.ground.plan([batch("blob", script), NEIGHBOUR])
    peak_bytes = await _run(round_, plan, WAVEPOOL_LOG_LIMIT=str(2 * size_bytes))
    await verify(round_, RUN, {"blob": VerdictKind.SUCCESS, "neighbour": VerdictKind.SUCCESS})
    record, path = _log(round_, "blob")
    right = hashlib.sha256()
    for _ in range(size_bytes // MIB):
        right.update(b"a" * MIB)
    right.update(b"a" * (size_bytes % MIB) + b"END")
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256")
    same = got.digest() == right.digest()
    round_.check("every byte is there", same, f"{path.stat().st_size:,} bytes, or others than were written")
    round_.check("the log is not said to be cut", not record.truncated, f"{record}")
    _check_memory(round_, peak_bytes)


async def _run(round_: Round, plan: Path, **env: str) -> int:
    """To its end; the orchestrator's highest memory in bytes."""
    process = await round_.ground.run(plan, RUN, "--isolate", "none", env=env)
    peak_bytes = 0
    while not await process.ended_within(LOOK_AGAIN_S):
        peak_bytes = max(peak_bytes, _peak_bytes(process.pid))
    return peak_bytes


def _check_memory(round_: Round, peak_bytes: int) -> None:
    holds = 0 < peak_bytes <= MEMORY_MAX_BYTES
    round_.check("the orchestrator's memory is bounded", holds, f"{human_size(peak_bytes)} at the most")


def _peak_bytes(pid: int) -> int:
    """The highest memory of a process so far, 0 where it has ended."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def _log(round_: Round, task_id: str) -> tuple[LogRecord, Path]:
    """What the journal says of a task's log, and the file."""
    record = LogRecord()
    for stamped in round_.ground.facts(RUN):
        if isinstance(stamped.fact, facts.AttemptSettled) and stamped.fact.attempt.task_id == task_id:
            record = stamped.fact.log
    return record, round_.ground.state.run(RUN).path / (record.path or "logs/none")


def _container(round_: Round, task_id: str) -> str:
    """The id of a task's container, empty before it has started."""
    for stamped in round_.ground.facts(RUN):
        if isinstance(stamped.fact, facts.AttemptStarted) and stamped.fact.attempt.task_id == task_id:
            return stamped.fact.handle.id
    return ""


def _processes_of(container: str) -> int:
    """How many processes are in the control group of a container."""
    if not container:
        return 0
    count = 0
    for entry in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            count += container in entry.read_text()
        except OSError:  # it has ended meanwhile
            continue
    return count
