"""What works beside runs: ways into attempts, and the tools of a recovery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from wavepool.drivers.base import Driver
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.remains.holdings import DockerHoldings
from wavepool.drivers.docker.remains.inside import kept_argv, running_argv
from wavepool.drivers.docker.remains.records import DockerRecords
from wavepool.drivers.holdings import Holdings
from wavepool.drivers.process.holdings import ProcessHoldings
from wavepool.engine.history.revisit import NothingKept, Revisit
from wavepool.engine.recover.reaper import Engines
from wavepool.journal.base import Journal
from wavepool.journal.sqlite import SqliteJournal
from wavepool.statedir import RunDir, StateDir
from wavepool.wiring.engines import process_driver


async def commands_into(found: Revisit, command: Sequence[str], terminal: bool) -> tuple[list[str], dict[str, str]]:
    """The docker command that leads into an attempt, and the variables that it is given by name.

    Args:
        found: where to look.
        command: what to run there; empty for a shell.
        terminal: our standard input is one.

    Raises:
        NothingKept: its image is gone.
        DriverUnavailable: the engine cannot be reached.
        NotStarted: its workspace is gone.
    """
    async with DockerRecords() as records:
        if found.running is not None:
            return running_argv(found.running, command, terminal=terminal), {}
        assert found.kept is not None
        if not await records.has_image(found.kept):
            raise NothingKept(
                f"the image {found.kept} is gone", advice="It was removed, by `wavepool prune` or by hand."
            )
        network = found.spec.network
        gone = network is not None and await records.network_labels(network) is None
        return kept_argv(found.spec, found.kept, command, terminal=terminal, network_is_gone=gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryTools:
    """What `wavepool recover` looks with, and acts with.

    Attributes:
        holdings: of every engine that may have something of this owner.
        engines: the same by driver name, with the drivers.
        unasked: driver -> why its engine is not asked.
    """

    holdings: tuple[Holdings, ...]
    engines: Engines
    unasked: Mapping[str, str]


@asynccontextmanager
async def open_recovery(state_dir: StateDir, *, driver: str) -> AsyncIterator[RecoveryTools]:
    """All engines that the state directory may have used: Docker, and this host's processes if it ever had any.

    Args:
        driver: ``auto``, or the only one to be asked.
    """
    async with AsyncExitStack() as stack:
        holdings: dict[str, Holdings] = {}
        drivers: dict[str, Driver] = {}
        unasked: dict[str, str] = {}
        if driver == "process":
            unasked["docker"] = "--driver process leaves it out"
        else:
            holdings["docker"] = await stack.enter_async_context(DockerHoldings())
            drivers["docker"] = await stack.enter_async_context(DockerDriver())
        records = state_dir.path / "processes"
        if driver == "docker":
            unasked["process"] = "--driver docker leaves it out"
        elif records.is_dir():  # opening the driver would make it
            drivers["process"] = await stack.enter_async_context(process_driver(records))
            holdings["process"] = ProcessHoldings(base_dir=records, driver=drivers["process"])
        engines = Engines(holdings=holdings, drivers=drivers)
        yield RecoveryTools(holdings=tuple(holdings.values()), engines=engines, unasked=unasked)


def journal_of(files: RunDir, owner: str) -> Journal:
    """The journal of a run that is held by this process; the caller opens and closes it."""
    return SqliteJournal(files.journal, owner=owner, run_id=files.id, must_exist=True)
