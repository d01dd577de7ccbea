"""Lines longer than the engine's buffer of 16 KiB come back byte for byte, read live and read after the end."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool.testing.observing import output, wait_ended

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

SIZES = (0, 1, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 100 << 10, 1 << 20)


def line(size: int, letter: str) -> str:
    return f"head -c {size} /dev/zero | tr '\\000' '{letter}'; echo"


async def test_lines_of_every_size_on_both_streams(world: DockerWorld) -> None:
    """Bytes that are no text, stderr between, and a last line without an end on one of the two."""
    script = "; ".join(f"{line(size, chr(92) + '376')}; {{ {line(size, 'e')}; }} >&2" for size in SIZES)
    spec = world.sh(f"sleep 0.3; {script}; echo end; printf 'no end' >&2")
    out = b"".join(b"\xfe" * size + b"\n" for size in SIZES) + b"end\n"
    err = b"".join(b"e" * size + b"\n" for size in SIZES) + b"no end"
    async with world.driver() as driver:
        handle = await driver.start(spec)
        followed = await output(driver, handle)
        await wait_ended(driver, spec)
        assert followed == (out, err)
        assert await output(driver, handle) == (out, err)


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        pytest.param("head -c 32768 /dev/zero", bytes(32_768), id="two pieces, no newline"),
        pytest.param("head -c 32768 /dev/zero; echo", bytes(32_768) + b"\n", id="two pieces and a newline"),
        pytest.param("head -c 40000 /dev/zero", bytes(40_000), id="a part more, no newline"),
        pytest.param("head -c 40000 /dev/zero; echo; echo", bytes(40_000) + b"\n\n", id="an empty line after it"),
    ],
)
async def test_the_end_of_an_output(world: DockerWorld, script: str, wanted: bytes) -> None:
    async with world.driver() as driver:
        spec = world.sh(script)
        handle = await driver.start(spec)
        await wait_ended(driver, spec)
        assert await output(driver, handle) == (wanted, b"")


@pytest.mark.slow
async def test_a_follower_of_a_flood_gets_nothing_twice_and_the_end(world: DockerWorld) -> None:
    """The log's size cap keeps the newest output only, and the engine starts a follower over while it rotates."""
    script = 'BEGIN { for (i = 1; i <= 60000; i++) printf "%d %01000d\\n", i, 0 }'
    async with world.driver() as driver:
        spec = world.spec(("awk", script))
        handle = await driver.start(spec)
        followed, _ = await output(driver, handle)
        await wait_ended(driver, spec)
        kept, _ = await output(driver, handle)
    numbers = [int(line.split()[0]) for line in followed.splitlines()]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 60_000
    kept_numbers = [int(line.split()[0]) for line in kept.splitlines()]
    assert kept_numbers == list(range(60_001 - len(kept_numbers), 60_001))


@pytest.mark.slow
async def test_100_mb_without_a_newline_flow_through(world: DockerWorld) -> None:
    """Neither the reader nor what it keeps grows with the line."""
    size = 100 << 20
    spec = world.sh(f"head -c {size} /dev/zero | tr '\\000' x")
    with anyio.fail_after(300):
        async with world.driver() as driver:
            handle = await driver.start(spec)
            seen = 0
            tracemalloc.start()
            async with driver.logs(handle) as chunks:
                async for chunk in chunks:
                    assert chunk.data.strip(b"x") == b""
                    seen += len(chunk.data)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert seen >= 16 << 20  # what the log's size cap keeps; the engine repeats some to a follower while it rotates
    assert peak < 16 << 20
