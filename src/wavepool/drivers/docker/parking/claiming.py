"""Claiming: a parked shell is sent its one command, and its start mark is awaited.

The mark alone tells what became of a claim: none and no container that could still make one is the proof that nothing
ran; anything else counts as having run.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.parking.claim_mark import claimed_at, clear, is_laid_out, keep, unproven
from wavepool.drivers.docker.parking.parker import Held
from wavepool.drivers.docker.parking.script import CHANGED_BY_SHELLS, take_over
from wavepool.drivers.docker.remains.removal import Remover, Target
from wavepool.drivers.docker.starting.delivery import write_prompt
from wavepool.drivers.docker.starting.spec import environment
from wavepool.drivers.docker.starting.starter import Found
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.sightings import OwnActs
from wavepool.drivers.docker.watching.verdict import read_final
from wavepool.drivers.parking import Claim
from wavepool.drivers.start_mark import is_marked, is_of_this_boot, unmake_mark
from wavepool.errors import DriverUnavailable, InputError, MayHaveRun, NotClaimed, Unknown
from wavepool.model import Limits

CLAIM_DEADLINE_S = 20.0
"""From the command to its mark. A shell answers within milliseconds, on a host without any room within a second."""
END_DEADLINE_S = 20.0
"""From a kill to the end."""
LOOK_EVERY_S = 0.001
LOOK_MAX_S = 0.02
ASK_AFTER_S = 0.05
"""A mark that has not come by then may never come: the engine is asked whether the container still runs."""
ASK_MAX_S = 1.0
INLINE_PROMPT_BYTES = 64 * 1024
"""A prompt of so much is written faster than a thread is asked to."""


class Claimer:
    """Tells parked containers what to run, and proves of others that they never ran.

    Args:
        deadline_s: for a shell's answer; one that gives none is killed.
    """

    def __init__(self, api: DockerApi, own: OwnActs, remover: Remover, *, deadline_s: float = CLAIM_DEADLINE_S) -> None:
        self._api = api
        self._own = own
        self._remover = remover
        self._deadline_s = deadline_s

    async def claim_late(self, held: Held, claim: Claim) -> None:
        """See `SupportsParking.claim`. Whoever holds it lets go of it after that, where it was taken."""
        script = late_script(held, claim)
        held.taken = True
        with anyio.CancelScope(shield=True):
            if claim.prompt:
                await _deliver(held.spec, claim.prompt)
            if claim.limits is not None:
                await self._resize(held, claim.limits)
            await self._send(held, script)

    async def claim_bound(self, held: Held) -> None:
        """Let the task run that it was parked for. Raises as `claim_late`; MayHaveRun where its slot proves nothing."""
        script = bound_script(held)
        held.taken = True
        with anyio.CancelScope(shield=True):
            await self._send(held, script)

    async def clear(self, spec: AttemptSpec, found: Found, has_evidence: bool) -> bool:
        """Take away a parked container that nobody can claim any more, once it is certain that it never ran.

        False where it has run; then it is left as it is.

        Args:
            has_evidence: its slot was laid out (`claim_mark.is_laid_out`) before this driver did anything to that.

        Raises:
            MayHaveRun: its command was about to be sent, and the host was restarted since: the mark may be lost. Or
                what would show a mark that was taken away is not there any more.
            Unknown: it could not be stopped or removed; it can be tried again.
            DriverUnavailable: the engine cannot be reached.
        """
        ended = await self._end(found.id, spec.name)
        if claimed_at(spec.slot) is not None:
            return False
        if not has_evidence and (ended is None or read_final(ended["State"]).started_at is not None):
            raise unproven(spec.name)
        if await anyio.to_thread.run_sync(_may_be_forgotten, spec):
            raise MayHaveRun(f"{spec.name}: its claim was asked for, and the host was restarted since: it may have run")
        self._own.note_unclaimed(found.id)
        # First the start mark, without which a container that is gone counts as one that may have run; the evidence
        # that it never ran goes last, so that all of this can be repeated.
        await _in_slot(spec, unmake_mark)
        problem = await self._remover.remove_known(Target(id=found.id, name=spec.name, volumes=0))
        if problem:
            raise Unknown(f"{spec.name}: {problem}")
        await _in_slot(spec, clear)
        return True

    async def _send(self, held: Held, script: bytes) -> None:
        try:
            held.attachment.write(script)
        except DriverUnavailable as error:
            raise NotClaimed(f"{held.spec.name}: {error.message}") from error
        at = await self._marked(held)
        with contextlib.suppress(OSError):  # the container's own mark is still there
            keep(held.spec.slot, at)
        self._own.note_claim(held.id)

    async def _marked(self, held: Held) -> datetime:
        """Wait for the start mark. Raises NotClaimed, Unknown."""
        began = time.monotonic()
        pause_s, ask_at = LOOK_EVERY_S, began + ASK_AFTER_S
        await anyio.sleep(pause_s)
        while (at := claimed_at(held.spec.slot)) is None:
            now = time.monotonic()
            if now > ask_at:
                if now - began > self._deadline_s:
                    await self._end_unanswering(held)
                if await self._cannot_run(held):
                    return self._last_look(held)
                ask_at = now + min(ASK_MAX_S, 2 * (now - began))
            await anyio.sleep(pause_s)
            pause_s = min(pause_s * 1.1, LOOK_MAX_S)
        return at

    def _last_look(self, held: Held) -> datetime:
        """Of one that has ended. Raises NotClaimed, MayHaveRun."""
        at = claimed_at(held.spec.slot)
        if at is None and not is_laid_out(held.spec.slot):
            raise unproven(held.spec.name)
        if at is None:
            self._own.note_unclaimed(held.id)
            raise NotClaimed(f"{held.spec.name} ended before it took its claim: nothing ran in it")
        return at

    async def _cannot_run(self, held: Held) -> bool:
        """True where its container has ended, or is gone; False too where the engine does not say."""
        try:
            found = await inspect(self._api, held.id)
        except (Refused, DriverUnavailable):
            return False
        return found is None or not found["State"]["Running"]

    async def _end_unanswering(self, held: Held) -> None:
        try:
            await self._end(held.id, held.spec.name)
        except DriverUnavailable as error:
            raise Unknown(f"{held.spec.name} did not answer its claim: {error.message}") from error

    async def _end(self, container_id: str, name: str) -> dict[str, Any] | None:
        """Kill it; its record when it has ended for certain, None if it is gone. Raises Unknown, DriverUnavailable."""
        found = await self._find(container_id, name)
        if found is None or not found["State"]["Running"]:
            return found
        self._own.note_stop(container_id)
        try:
            await self._api.change("POST", f"containers/{container_id}/kill", {"signal": "KILL"})
        except Refused as refused:
            if refused.status not in (404, 409):
                raise Unknown(f"{name} could not be stopped: {refused.words}") from refused
        give_up = time.monotonic() + END_DEADLINE_S
        while (found := await self._find(container_id, name)) is not None and found["State"]["Running"]:
            if time.monotonic() > give_up:
                raise Unknown(f"{name} was killed, and yet it runs")
            await anyio.sleep(LOOK_MAX_S)
        return found

    async def _find(self, container_id: str, name: str) -> dict[str, Any] | None:
        try:
            return await inspect(self._api, container_id)
        except Refused as refused:
            raise Unknown(f"{name}: {refused.message}") from refused

    async def _resize(self, held: Held, limits: Limits) -> None:
        """Give it other limits, before anything was sent. Raises NotClaimed: the engine does not."""
        changes = resources(held.spec.limits, limits)
        if not changes:
            return
        try:
            await self._api.change("POST", f"containers/{held.id}/update", body=changes)
        except (Refused, Unknown, DriverUnavailable) as error:
            raise NotClaimed(f"{held.spec.name} cannot be resized: {error.message}") from error


def late_script(held: Held, claim: Claim) -> bytes:
    """What a late container is told. Raises InputError."""
    spec = held.spec
    command = held.image_argv if claim.command is None else claim.command
    if claim.command is None and not command:
        raise InputError(f"image {spec.image} has neither entrypoint nor command", advice="Give a command.")
    wanted = environment(replace(spec, env=claim.env, prompt=claim.prompt))
    variables: dict[str, str | bytes | None] = {
        name: value for name, value in wanted.items() if held.variables.get(name) != value
    }
    if claim.prompt:
        prompt = wanted.get("TASK_PROMPT")
        variables["TASK_PROMPT"] = None if prompt is None else prompt.encode("utf-8", "surrogatepass")
    return take_over(
        mark=str(spec.attempt),
        command=command,
        variables=_with_own(held.variables, variables),
        secrets=claim.secrets,
        directory=claim.directory,
    )


def bound_script(held: Held) -> bytes:
    """What a bound container is told: nothing but to go. Raises InputError."""
    variables = _with_own(held.variables, {})
    return take_over(mark=str(held.spec.attempt), command=held.argv, variables=variables, secrets={})


def _with_own(made_with: Mapping[str, str], told: Mapping[str, str | bytes | None]) -> dict[str, str | bytes | None]:
    """`told`, and what shells would change of the variables that the container was made with."""
    own: dict[str, str | bytes | None] = {name: made_with[name] for name in CHANGED_BY_SHELLS if name in made_with}
    return {**own, **told}


def resources(before: Limits, after: Limits) -> dict[str, Any]:
    """The body of an update from one to the other; empty where it needs none.

    The engine has no value for 'no limit': as many CPUs as there are are as good; -1 processes are.
    """
    body: dict[str, Any] = {}
    if after.memory_bytes != before.memory_bytes:
        body = dict.fromkeys(("Memory", "MemorySwap", "MemoryReservation"), after.memory_bytes)
    if after.cpus != before.cpus:
        body["NanoCpus"] = round((after.cpus or os.cpu_count() or 1) * 1_000_000_000)
    if after.pids != before.pids:
        body["PidsLimit"] = -1 if after.pids is None else after.pids
    return body


async def _deliver(spec: AttemptSpec, prompt: str) -> None:
    """Put the prompt where the container sees it. Raises NotClaimed."""
    try:
        if len(prompt) <= INLINE_PROMPT_BYTES:
            write_prompt(spec.slot, prompt)
        else:
            await anyio.to_thread.run_sync(write_prompt, spec.slot, prompt)
    except OSError as error:
        raise NotClaimed(f"{spec.name}: its prompt cannot be written: {error}") from error


async def _in_slot(spec: AttemptSpec, act: Callable[[Path], None]) -> None:
    """Change something in its slot. Raises Unknown."""
    try:
        await anyio.to_thread.run_sync(act, spec.slot)
    except OSError as error:
        raise Unknown(f"{spec.name}: its slot cannot be written: {error}") from error


def _may_be_forgotten(spec: AttemptSpec) -> bool:
    """True where a claim was about to be sent before the host was last started: the start mark is on no disk for sure.

    Ours is: see `start_mark`.
    """
    return is_marked(spec.slot) and not is_of_this_boot(spec.slot)
