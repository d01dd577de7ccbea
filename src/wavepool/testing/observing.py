"""Short questions to a driver, for tests: run it to its end, what is present, all of its output."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import asdict
from typing import TypeVar

import anyio

from wavepool.drivers.base import AttemptSpec, Driver, Handle, Observation, Phase, Scope, Synced
from wavepool.errors import NotStarted
from wavepool.model import AttemptId, VerdictKind

_Error = TypeVar("_Error", bound=Exception)


async def raised(kind: type[_Error], call: Awaitable[object]) -> _Error:
    """The error of `kind` that `call` raises; an AssertionError where it raises none."""
    try:
        await call
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def scope_of(spec: AttemptSpec) -> Scope:
    """The run that `spec` belongs to."""
    return Scope(owner=spec.owner, run_id=spec.run_id)


def keys(*specs: AttemptSpec) -> frozenset[tuple[str, AttemptId]]:
    """As `Synced.present` names them."""
    return frozenset((spec.run_id, spec.attempt) for spec in specs)


def thawed(handle: Handle) -> Handle:
    """The same handle after a journey through JSON, as from a journal."""
    fields = json.loads(json.dumps(asdict(handle)))
    return Handle(**{**fields, "attempt": AttemptId(*fields["attempt"])})


async def start_all(driver: Driver, specs: Iterable[AttemptSpec]) -> dict[AttemptId, Handle]:
    """Start them at once; a handle for each."""
    handles: dict[AttemptId, Handle] = {}

    async def start(spec: AttemptSpec) -> None:
        handles[spec.attempt] = await driver.start(spec)

    async with anyio.create_task_group() as group:
        for spec in specs:
            group.start_soon(start, spec)
    return handles


async def ending_from(states: AsyncIterator[Observation | Synced], spec: AttemptSpec) -> Observation:
    """The first word of a watch that says that `spec` has ended."""
    async for told in states:
        if isinstance(told, Observation) and told.handle.attempt == spec.attempt and told.ending is not None:
            return told
    raise AssertionError("the watch ended by itself")


async def wait_ended(driver: Driver, spec: AttemptSpec) -> Observation:
    """Its EXITED or GONE observation, from a watch of its own."""
    async with driver.watch(scope_of(spec)) as states:
        return await ending_from(states, spec)


async def run_to_end(driver: Driver, spec: AttemptSpec) -> Observation:
    """Start it and wait for its end."""
    await driver.start(spec)
    return await wait_ended(driver, spec)


async def snapshot(driver: Driver, scope: Scope) -> tuple[dict[tuple[str, AttemptId], Phase], Synced]:
    """The phase of all in scope now."""
    phases: dict[tuple[str, AttemptId], Phase] = {}
    async with driver.watch(scope) as states:
        async for told in states:
            if isinstance(told, Synced):
                return phases, told
            phases[told.run_id, told.handle.attempt] = told.phase
    raise AssertionError("the watch ended before it was synced")


async def phase_of(driver: Driver, spec: AttemptSpec) -> Phase | None:
    """Its phase now, None where there is no such thing."""
    return (await snapshot(driver, scope_of(spec)))[0].get((spec.run_id, spec.attempt))


async def present(driver: Driver, scope: Scope) -> frozenset[tuple[str, AttemptId]]:
    """What the first `Synced` of a watch says."""
    return (await snapshot(driver, scope))[1].present


async def refusal_code(driver: Driver, spec: AttemptSpec) -> int | None:
    """126 or 127: an engine may refuse the start itself, or an init inside may end with that code."""
    try:
        told = await run_to_end(driver, spec)
    except NotStarted as refused:
        return None if refused.transient else refused.program_exit_code
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.FAILED
    return told.ending.evidence.exit_code


async def output(driver: Driver, handle: Handle) -> tuple[bytes, bytes]:
    """All of stdout and of stderr."""
    parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    async with driver.logs(handle) as chunks:
        async for chunk in chunks:
            assert chunk.data, "a chunk is never empty"
            parts[chunk.stream].append(chunk.data)
    return b"".join(parts["stdout"]), b"".join(parts["stderr"])


async def wait_for_output(driver: Driver, handle: Handle, awaited: bytes) -> None:
    """Until stdout holds `awaited`."""
    seen = b""
    async with driver.logs(handle) as chunks:
        async for chunk in chunks:
            seen += chunk.data if chunk.stream == "stdout" else b""
            if awaited in seen:
                return
    raise AssertionError(f"the output ended without {awaited!r}: {seen!r}")
