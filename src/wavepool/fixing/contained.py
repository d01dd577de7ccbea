"""A check in an image: a run of one task, confined as all are and without a network, with a journal and a log of its
own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from wavepool.core.facts import Outcome, RunFinished, Stamped
from wavepool.engine.attempts.saving import limited_words
from wavepool.engine.attempts.streams import stream_pieces
from wavepool.engine.control.client import NobodyHolds, open_control
from wavepool.engine.recover.runs import last_fact
from wavepool.engine.report import RunReport
from wavepool.engine.signals import forward_interrupts
from wavepool.errors import CheckError, InfrastructureError, InputError, first_of_ours
from wavepool.fixing.checks import PROGRESS_S, Check, CheckLost, Ended, Interrupted, Tell
from wavepool.fixing.meter import OutputMeter
from wavepool.fixing.reading import LAST_WORDS_BYTES, CheckReading, last_words, progress_words, quoted
from wavepool.fixing.spool import PIECE_BYTES
from wavepool.model import Isolation, Mount, Rules, Surroundings, VerdictKind, WorkspaceKind
from wavepool.plan import Plan, TierMap, parse_plan
from wavepool.statedir import RunDir, StateDir, new_run_id
from wavepool.units import GIB, format_duration, format_size, human_size
from wavepool.wiring import GoingOn, Hooks, RunRequest, end_run, resume_run, run_plan

MEMORY_BYTES = 2 * GIB
TASK = "check"
_NETWORK = "cfn-network"  # never made: there is no network


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Where a check runs that does not run on the host.

    Attributes:
        image: its reference; it needs the check's tools, and /bin/sh where a shell reads the command.
        state_dir: keeps the run.
        memory_bytes: its hard limit.
        env: variables; nothing of this host's is handed on.
        mounts: further files and directories of the host.
        user: ``uid:gid``; None for the owner of the workspace.
        pull: missing, always or never.
        name_prefix: of the container.
        run_id: of the run that it is; a new one unless told. One that another process has begun is gone on with.
    """

    image: str
    state_dir: Path
    memory_bytes: int = MEMORY_BYTES
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    user: str | None = None
    pull: str = "missing"
    name_prefix: str = "cfn-"
    run_id: str | None = None


def new_check_id() -> str:
    """Of a run that is a check."""
    return f"check-{new_run_id(datetime.now(UTC))}"


async def run_contained(
    check: Check, container: Container, reading: CheckReading, tell: Tell = lambda text: None
) -> Ended:
    """Run the check to its end in a container, and read all that it wrote. Only in the main thread, as `run_on_host`.

    Raises:
        InputError: the image has no such command; or something in `container` is wrong.
        InfrastructureError: no Docker, no such image.
        CheckError: it was ended, or more was written than is kept; CheckLost where nobody knows how it ended.
        Interrupted: the user ended it; nothing of it is left.
    """
    run_id = container.run_id or new_check_id()
    began_s = time.monotonic()
    try:
        report, flooded = await _run(check, container, run_id, tell)
    except BaseExceptionGroup as errors:
        raise first_of_ours(errors) from errors
    if report.outcome is Outcome.INTERRUPTED and not flooded:
        raise Interrupted
    entry = report.result()["waves"][0]["containers"][0]
    log = None if entry["log"] is None else StateDir(container.state_dir).run(run_id).path / entry["log"]
    words = await anyio.to_thread.run_sync(_last_words, log)
    if flooded:
        raise _too_much(check, container, words)
    exit_code = exit_code_of(check, container, entry, words)
    size_bytes = 0 if log is None else await _read(check, log, reading, tell, began_s)
    return Ended(
        exit_code=exit_code,
        took_s=time.monotonic() - began_s,
        output_bytes=size_bytes,
        last_words=words,
        where=container.image,
        run_id=run_id,
    )


async def _run(check: Check, container: Container, run_id: str, tell: Tell) -> tuple[RunReport, bool]:
    """The run, and whether it was stopped for what it wrote."""
    request, state_dir = _request(check, container, run_id), StateDir(container.state_dir)
    async with anyio.create_task_group() as group:
        stop = partial(_stop, state_dir.run(run_id))
        meter = OutputMeter(group, state_dir, limit_bytes=check.output_limit_bytes, stop=stop)
        group.start_soon(forward_interrupts, partial(_soon, group, stop))
        group.start_soon(_progress, check, container, meter, tell)
        hooks = Hooks(listeners=[meter], notice=tell, pulling=lambda image, text: tell(f"pulling {image}: {text}"))
        goes_on = await anyio.to_thread.run_sync(has_begun, state_dir, run_id)
        if goes_on:
            report = await resume_run(run_id, state_dir=state_dir.path, how=GoingOn(hooks=hooks, learn=False))
        else:
            report = await run_plan(request, hooks)
        group.cancel_scope.cancel()
    return report, meter.is_over


def has_begun(state_dir: StateDir, run_id: str) -> bool:
    """Whether a run of this id is in its journal. Raises InfrastructureError."""
    files = state_dir.run(run_id)
    return files.journal.exists() and last_fact(files) is not None


def may_yet_tell(state_dir: StateDir, run_id: str) -> bool:
    """Whether a check that another process has begun goes on, or has ended by itself: then it need not run again.

    Raises:
        InfrastructureError: its journal cannot be read.
    """
    files = state_dir.run(run_id)
    last = last_fact(files) if files.journal.exists() else None
    return last is not None and (not isinstance(last.fact, RunFinished) or _has_told(last))


def _has_told(last: Stamped | None) -> bool:
    """Whether this is the last fact of a run that came to its own end."""
    finished = None if last is None else last.fact
    return isinstance(finished, RunFinished) and finished.outcome in (Outcome.SUCCESS, Outcome.FAILED)


def give_up(state_dir: StateDir, run_id: str, tell: Tell = lambda text: None) -> None:
    """Stop a check that another process has begun, and leave nothing of its container; blocks. Nothing happens to one
    that has ended by itself.

    Raises:
        InfrastructureError: no Docker, a process works on it, or its journal cannot be read.
    """
    if has_begun(state_dir, run_id) and not _has_told(last_fact(state_dir.run(run_id))):
        how = GoingOn(hooks=Hooks(notice=tell), learn=False)
        anyio.run(partial(end_run, run_id, state_dir=state_dir.path, how=how))


def _soon(group: TaskGroup, stop: Callable[[], Coroutine[None, None, None]], _force: bool) -> None:
    group.start_soon(stop)


async def _stop(files: RunDir) -> None:
    """End it at once, at the first Ctrl-C: nobody waits for the rest of a check."""
    try:
        async with open_control(files) as control:
            await control.cancel(force=True)
    except NobodyHolds:  # it has not begun
        raise Interrupted from None


async def _progress(check: Check, container: Container, meter: OutputMeter, tell: Tell) -> None:
    began_s = time.monotonic()
    while True:
        await anyio.sleep(PROGRESS_S)
        took = format_duration(float(round(time.monotonic() - began_s)))
        tell(f"running {quoted(check.shown)} in {container.image}: {took}, {human_size(meter.size_bytes)} of output")


def _request(check: Check, container: Container, run_id: str) -> RunRequest:
    return RunRequest(
        plan=_plan(check, container),
        rules=Rules(nodes=(), isolation=Isolation.NONE, wave_timeout_s=None, parallel=1),
        surroundings=Surroundings(
            image=container.image,
            workspace=str(check.workspace),
            network=_NETWORK,
            env=container.env,
            mounts=container.mounts,
            user=container.user,
            pull=container.pull,
            name_prefix=container.name_prefix,
            log_limit_bytes=check.output_limit_bytes,
            workspace_kind=WorkspaceKind.SHARED,
        ),
        driver="docker",
        run_id=run_id,
        state_dir=container.state_dir,
        learn=False,
    )


def _plan(check: Check, container: Container) -> Plan:
    batch = {
        "batch_id": TASK,
        "memory": container.memory_bytes,
        "command": list(check.argv),
        "timeout": check.timeout_s,
        "files": [],
    }
    document = {"waves": [{"wave_number": 1, "batches": [batch]}]}
    return parse_plan(json.dumps(document).encode(), source="the check", tiers=TierMap())


def exit_code_of(check: Check, container: Container, entry: Mapping[str, Any], words: str) -> int:
    """What it returned. Raises InputError, CheckError where it was ended, or its output is not whole."""
    verdict, evidence = entry["verdict"], entry["evidence"]
    code, why = evidence.get("exit_code"), evidence.get("reason", "")
    what = f"the check `{quoted(check.shown)}` in {container.image}"
    if verdict == VerdictKind.TIMEOUT:
        lasted = format_duration(check.timeout_s)
        raise CheckError(
            f"{what} did not end within {lasted} and was ended: what it has told so far proves nothing",
            advice="Give it more time with --check-timeout.",
            last_words=words,
        )
    if verdict == VerdictKind.OOM or evidence.get("child_oom"):
        held = format_size(container.memory_bytes)
        raise CheckError(
            f"{what} needed more than its memory of {held}", advice="Give it more: --check-memory.", last_words=words
        )
    if verdict == VerdictKind.START_ERROR and code in (126, 127):
        raise InputError(
            f"--command: {container.image} cannot run {check.argv[0]}: {why}",
            advice="Use an image that has the tools of the check.",
        )
    if verdict not in (VerdictKind.SUCCESS, VerdictKind.FAILED) or code is None:
        raise CheckLost(f"{what} came to no end of its own ({verdict}): {why}", last_words=words)
    if (problem := entry["log_problem"]) is not None:
        if entry["log"] is not None and problem == limited_words(check.output_limit_bytes):
            raise _too_much(check, container, words)
        raise CheckError(
            f"{what} ended with exit code {code}, but what it wrote is not whole: {problem}",
            advice="Try again; `wavepool doctor` tells what is wrong with Docker or the disk.",
            last_words=words,
        )
    return int(code)


def _too_much(check: Check, container: Container, words: str) -> CheckError:
    return CheckError(
        f"the check `{quoted(check.shown)}` in {container.image} wrote more than "
        f"{human_size(check.output_limit_bytes)}: what is left of it proves nothing",
        advice="Have it write less, or allow more with --output-limit.",
        last_words=words,
    )


async def _read(check: Check, log: Path, reading: CheckReading, tell: Tell, began_s: float) -> int:
    """Read its output to the end; how many bytes that was."""
    size_bytes, told_s = 0, time.monotonic()
    pieces = stream_pieces(log, PIECE_BYTES)
    try:
        while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
            stream, data = piece
            size_bytes += len(data)
            await anyio.to_thread.run_sync(reading.feed, stream, data)
            if time.monotonic() - told_s > PROGRESS_S:
                told_s = time.monotonic()
                tell(progress_words(check.shown, began_s, size_bytes, reading.errors))
    except OSError as error:
        raise InfrastructureError(f"cannot read {log}: {error.strerror or error}") from error
    await anyio.to_thread.run_sync(reading.end)
    return size_bytes


def _last_words(log: Path | None) -> str:
    """The end of a log, both streams as they came."""
    if log is None:
        return ""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_WORDS_BYTES))
            return last_words(file.read(LAST_WORDS_BYTES))
    except OSError:
        return ""
