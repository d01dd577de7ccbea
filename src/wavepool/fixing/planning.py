"""From a check to waves of batches: the one function that `plan` and `fix` both call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel

from wavepool.budget import Budget
from wavepool.engine.signals import forward_interrupts
from wavepool.errors import first_of_ours
from wavepool.fixing.background import left_behind
from wavepool.fixing.checks import Check, Ended, Interrupted, Tell
from wavepool.fixing.contained import Container, run_contained
from wavepool.fixing.files import WorkspaceFiles
from wavepool.fixing.given import read_given
from wavepool.fixing.host import run_on_host
from wavepool.fixing.judging import judge
from wavepool.fixing.reading import CheckReading
from wavepool.model import AgentOrder
from wavepool.plan import TierMap
from wavepool.plan.grouping import Bounds, Group, Strategy, contested, group
from wavepool.plan.making.assigning import batches_of
from wavepool.plan.making.findings import Findings
from wavepool.plan.making.planned import PlannedBatch
from wavepool.plan.making.writing import Origin, plan_document
from wavepool.plan.packing import Packed, PackingWay, pack
from wavepool.statedir import StateDir
from wavepool.units import MIB
from wavepool.wiring.engines import room_here


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOrder:
    """What is to be planned, and how.

    Attributes:
        check: what is run, and where from; its command is told to each batch.
        given: instead of running it: the file that its output is read from, ``-`` for standard input.
        container: the check runs in there; None for this host.
        named: the workspace as the user named it, where that may differ.
        languages: whose tools' output is read; None for all.
        warnings: they are planned as errors are.
        strategy, max_files: what one batch gets.
        way, max_parallel: how batches become waves.
        budget: of one wave: bytes, or ``auto`` for what `driver` has left.
        tiers: files and memory of the tiers.
        memory_bytes: of each batch, whatever its tier has (``--memory``).
        agent, words: who works on the batches, and the command of each; see `plan_document`.
        iteration: from 1; a part of the batches' ids.
    """

    check: Check
    given: str | None = None
    container: Container | None = None
    named: Path | None = None
    languages: frozenset[str] | None = None
    warnings: bool = False
    strategy: Strategy = Strategy.IMPORTS
    max_files: int
    way: PackingWay = PackingWay.BEST
    max_parallel: int
    budget: Budget = "auto"
    driver: str = "auto"
    state_dir: Path
    tiers: TierMap = field(default_factory=TierMap)
    memory_bytes: int | None = None
    agent: AgentOrder | None = None
    words: tuple[str, ...] = ()
    iteration: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a check has told, and the plan that was made of it.

    Attributes:
        passed: the check is content: there is nothing to do.
        ended: how the check ended.
        findings: all that it told.
        groups, packed: what the plan was made of; none where there is nothing to do, or no batch to be made.
        document: the plan as a JSON object, as `wavepool run` takes it; its ``waves`` may be empty.
        notices: what a person must be told beside it; warnings say so themselves.
    """

    passed: bool
    ended: Ended
    findings: Findings
    groups: tuple[Group, ...]
    packed: Packed | None
    document: Mapping[str, object]
    notices: tuple[str, ...]

    @property
    def batches(self) -> tuple[PlannedBatch, ...]:
        """All of them, wave by wave."""
        return () if self.packed is None else tuple(each for wave in self.packed.waves for each in wave.batches)

    @property
    def waves(self) -> int:
        """How many."""
        return 0 if self.packed is None else len(self.packed.waves)


def plan_check(order: PlanOrder, tell: Tell = lambda text: None) -> Planned:
    """Run the check, or read what it wrote, and plan what it told. Blocks; only in the main thread.

    Args:
        tell: is given lines of progress.

    Raises:
        InputError: what is to be run or read cannot be; a batch is above the budget (PlanError).
        CheckError: the check came to no end that anybody could plan by.
        InfrastructureError: no Docker for the check in an image, no such image.
        KeyboardInterrupt: the user ended it, and with it the check.
    """
    try:
        return anyio.run(_heeding, partial(_planned, order, tell))
    except BaseExceptionGroup as errors:
        error = first_of_ours(errors)
        raise KeyboardInterrupt if isinstance(error, Interrupted) else error from errors


async def _heeding(work: Callable[[], Awaitable[Planned]]) -> Planned:
    """Ctrl-C ends it wherever it is; while a check goes on, that hears of it itself."""
    async with anyio.create_task_group() as group:
        group.start_soon(forward_interrupts, _interrupt)
        await anyio.lowlevel.checkpoint()  # it listens before there is anything to be ended
        planned = await work()
        group.cancel_scope.cancel()
    return planned


def _interrupt(_force: bool) -> None:
    raise Interrupted


async def _planned(order: PlanOrder, tell: Tell) -> Planned:
    files = WorkspaceFiles(order.check.workspace, order.named, contained=order.container is not None)
    findings = Findings(files.place, warnings=order.warnings)
    reading = CheckReading(findings, order.languages)
    ended = await _ended(order, reading, tell)
    told = judge(order.check, ended, reading, warnings=order.warnings)
    groups = () if told.passed else await left_behind(partial(_groups, order, findings, files))
    packed, document = await _plan(order, findings, groups)
    return Planned(
        passed=told.passed,
        ended=ended,
        findings=findings,
        groups=groups,
        packed=packed,
        document=document,
        notices=(*ended.notices, *told.notices, *_complaints(reading)),
    )


async def _ended(order: PlanOrder, reading: CheckReading, tell: Tell) -> Ended:
    if order.given is not None:
        limit_bytes = order.check.output_limit_bytes
        return await read_given(order.given, reading, limit_bytes=limit_bytes, tell=tell)
    if order.container is not None:
        return await run_contained(order.check, order.container, reading, tell)
    return await run_on_host(order.check, reading, tell)


def _groups(order: PlanOrder, findings: Findings, files: WorkspaceFiles) -> tuple[Group, ...]:
    if not findings.files:
        return ()
    return group(findings, order.strategy, bounds=Bounds(max_files=order.max_files), sources=files.sources())


async def _plan(
    order: PlanOrder, findings: Findings, groups: tuple[Group, ...]
) -> tuple[Packed | None, Mapping[str, object]]:
    """The batches in their waves, and all of it as a JSON object."""
    command = order.check.shown or None
    batches = batches_of(
        groups,
        order.tiers,
        memory_bytes=order.memory_bytes,
        iteration=order.iteration,
        check=command,
        unplaced=findings.unplaced,
    )
    budget_bytes = await _budget_bytes(order) if batches else 0
    packed = await left_behind(partial(pack, batches, max(1, budget_bytes), order.max_parallel, way=order.way))
    origin = Origin(
        command=command,
        findings=findings,
        strategy=order.strategy,
        budget_bytes=budget_bytes,
        parallel=order.max_parallel,
        contested=contested(groups) if groups else None,
    )
    document = plan_document(packed, origin, agent=order.agent, words=order.words)
    return (packed if batches else None), document


async def _budget_bytes(order: PlanOrder) -> int:
    if order.budget != "auto":
        return order.budget
    nodes = await room_here(order.driver, StateDir(order.state_dir))
    return sum(node.capacity.memory_bytes for node in nodes) // MIB * MIB


def _read(number: int) -> str:
    return f"{number} {'was' if number == 1 else 'were'} read"


def _complaints(reading: CheckReading) -> list[str]:
    """What makes the figures doubtful."""
    found = [f"warning: could not be read: {problem}" for problem in reading.problems]
    if reading.findings.unsure is not None:
        found.append(
            f"warning: `{reading.findings.unsure}` is in several of the directories that make has entered, and "
            "which one is meant cannot be seen: plan with --shell and `2>&1` after the command, and without -j"
        )
    return found + [
        f"warning: {each.tool} says {each.told} {each.what}, and {_read(each.counted)}: its output is not whole, or "
        "not all of it was understood"
        for each in reading.findings.disagreements()
    ]
