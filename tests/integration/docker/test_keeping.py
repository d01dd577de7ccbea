"""The file system of an attempt, kept as an image: what is in it, what never is, and how it goes away again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Handle
from wavepool.drivers.keeping import SupportsKeeping
from wavepool.errors import KeepError, NoSuchAttempt, Unknown
from wavepool.testing.observing import run_to_end

if TYPE_CHECKING:
    from conftest import DockerWorld, Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

SECRET = b"hunter2-is-no-password"
PROMPT = "fix the flux capacitor"


def reference_of(spec: AttemptSpec) -> str:
    return labels.kept_reference(
        owner=spec.owner, run_id=spec.run_id, task_id=spec.attempt.task_id, attempt=spec.attempt.number
    )


async def test_what_it_left_is_kept_and_neither_prompt_nor_secret_is(world: DockerWorld) -> None:
    script = (
        "cp -r /run/secrets /run/wavepool /workspace && echo left > /tmp/left && echo rw > /workspace/mine && exit 3"
    )
    spec = world.sh(script, secrets={"TOKEN": SECRET}, prompt=PROMPT)
    reference = reference_of(spec)
    async with world.driver() as driver:
        await run_to_end(driver, spec)
        handle = await driver.start(spec)  # adopted: it has run already
        assert await driver.keep(handle, reference) == reference
        image = (await world.inspect(reference))["Id"]
        assert await driver.keep(handle, reference) == reference  # as after a crash in between
        assert (await world.inspect(reference))["Id"] == image
        await driver.remove(handle)
        assert await driver.keep(handle, reference) == reference

        found = await world.inspect(reference)
        tags = found["Config"]["Labels"]
        assert tags[labels.ROLE] == labels.KEPT
        assert (tags[labels.OWNER], tags[labels.RUN]) == (spec.owner, spec.run_id)
        assert (tags[labels.TASK], tags[labels.ATTEMPT]) == (spec.attempt.task_id, "1")
        # The task itself could read both; the image holds neither, in no file and in no field.
        assert (spec.workspace / "secrets" / "TOKEN").read_bytes() == SECRET
        assert await world.docker("run", "--rm", "--entrypoint=cat", reference, "/tmp/left") == "left"
        everything = await export(world, reference)
        assert b"left\n" in everything
        assert SECRET not in everything
        assert SECRET.decode() not in str(found)
        assert PROMPT.encode() not in everything
        assert PROMPT not in str(found["Config"])  # older engines note the container's own one beside it

        (kept,) = await driver.kept(spec.owner)
        assert (kept.reference, kept.run_id, kept.attempt) == (reference, spec.run_id, spec.attempt)
        assert 0 < kept.size_bytes < 1 << 20
        assert await driver.kept(spec.owner, "another-run") == ()
        assert await driver.kept(world.other_owner) == ()
        assert await driver.discard(kept) == ""
        assert await driver.discard(kept) == ""
        assert await driver.kept(spec.owner) == ()


async def export(world: DockerWorld, reference: str) -> bytes:
    """All of an image's file system, as a tar."""
    path = world.workspace.parent / "image.tar"
    container = await world.docker("create", "--label", f"{labels.OWNER}={world.owner}", reference)
    try:
        await world.docker("export", "--output", str(path), container)
    finally:
        await world.docker("rm", container)
    return await anyio.Path(path).read_bytes()


async def test_what_never_ran_or_is_gone_or_is_another_ones_is_not_kept(world: DockerWorld) -> None:
    spec = world.sh("exit 1")
    reference = reference_of(spec)
    async with world.driver() as driver:
        await run_to_end(driver, spec)
        handle = await driver.start(spec)
        foreign = replace(handle, attempt=handle.attempt._replace(number=2))
        with pytest.raises(NoSuchAttempt):
            await driver.keep(foreign, reference)
        await world.docker("tag", spec.image, reference)
        try:
            with pytest.raises(KeepError, match="taken by an image that is not ours"):
                await driver.keep(handle, reference)
        finally:
            await world.docker("rmi", reference)
        await driver.remove(handle)
        with pytest.raises(NoSuchAttempt, match="nothing that could be kept"):
            await driver.keep(handle, reference)


async def test_an_answer_that_is_cut_off_is_found_to_have_been_a_success(world: DockerWorld, proxy: Proxy) -> None:
    spec = world.sh("exit 1")
    async with world.driver(host=proxy.host) as driver:
        await run_to_end(driver, spec)
        handle = await driver.start(spec)
        proxy.cut_answers_to.append(b"/commit")
        assert await keep_at_last(driver, handle, reference_of(spec)) == reference_of(spec)
        assert proxy.cut_answers_to == []
        (kept,) = await driver.kept(spec.owner)
        assert await driver.discard(kept) == ""


async def keep_at_last(driver: SupportsKeeping, handle: Handle, reference: str) -> str:
    """As the engine does: what is not known is asked again."""
    while True:
        try:
            return await driver.keep(handle, reference)
        except Unknown:
            continue
