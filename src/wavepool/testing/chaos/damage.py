"""The journal of a dead run is damaged; what that run had running is found all the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from wavepool.testing.chaos.invariants import verify
from wavepool.testing.chaos.journals import DEADLINE_S, EXPECTED, INFRASTRUCTURE, RUN, at_work, write_plan
from wavepool.testing.chaos.scenario import Registry, Round

damage = Registry()


@damage.add("truncated", "the journal of a dead run loses its end, wherever that is")
async def truncated(round_: Round) -> None:
    """The database, its log or the file beside it is cut at a random length."""
    path = await _dead_run(round_)
    cut = round_.rng.randrange(path.stat().st_size)
    round_.inject(f"{path.name} cut to {cut} bytes")
    with path.open("r+b") as file:
        file.truncate(cut)
    await _refused_or_right(round_)


@damage.add("flipped", "one bit of a dead run's journal is flipped, wherever it is")
async def flipped(round_: Round) -> None:
    """In the database, its log or the file beside it."""
    path = await _dead_run(round_)
    content = bytearray(path.read_bytes())
    bit = round_.rng.randrange(len(content) * 8)
    round_.inject(f"bit {bit} of {path.name} flipped")
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    await _refused_or_right(round_)


async def _dead_run(round_: Round) -> Path:
    """A run that was killed at work; one of the files that its journal is made of, chosen at random."""
    process = await at_work(round_, write_plan(round_))
    await process.kill()
    files = sorted(path for path in _files(round_) if path.stat().st_size and not path.name.endswith("-shm"))
    return round_.rng.choice(files)


async def _refused_or_right(round_: Round) -> None:
    """A resume either says what is wrong and touches nothing, or (where the damage hit nothing) is right.

    It can never be gone on with, so that what it had running is for `wavepool recover`.
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
    await _recover(round_)


async def _recover(round_: Round) -> None:
    command = await round_.ground.command("recover", "--state-dir", str(round_.ground.state.path), "--grace", "0s")
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
