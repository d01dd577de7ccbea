"""The pool of the llm-sandbox package as a rival: in a virtual environment of its own, no dependency of ours.

The environment is made once, with pip and whatever index it is set up for, in the user's cache directory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from bench.ground import IMAGE, RIVALS, Ground

VERSION = "0.3.46"
SCRIPT = RIVALS / "llm_sandbox_pool.py"
_DEADLINE_S = 300.0
_LINE_MAX_BYTES = 1000


class LlmSandboxPool:
    """Its pool with `count` containers, warm while the context is open. They carry the ground's label.

    Raises subprocess.CalledProcessError on entering where the package cannot be installed.
    """

    def __init__(self, ground: Ground, count: int) -> None:
        self._ground = ground
        self._count = count
        self._process: Process | None = None
        self._lines: BufferedByteReceiveStream | None = None

    async def __aenter__(self) -> Self:
        python = await installed()
        command = [str(python), str(SCRIPT), IMAGE, self._ground.label, str(self._count)]
        self._process = await anyio.open_process(command, stderr=None)
        assert self._process.stdout is not None
        self._lines = BufferedByteReceiveStream(self._process.stdout)
        ready = await self._line()
        assert ready == "ready", ready
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """It is killed: its containers are removed by the ground, with all others."""
        assert self._process is not None
        with anyio.CancelScope(shield=True):
            self._process.kill()  # its own way out waits ten seconds for each container
            await self._process.aclose()

    async def one_task(self) -> float:
        """Milliseconds from the submission to the first byte of output."""
        assert self._process is not None
        assert self._process.stdin is not None
        await self._process.stdin.send(b"\n")
        return float(await self._line())

    async def _line(self) -> str:
        assert self._lines is not None
        with anyio.fail_after(_DEADLINE_S):
            return (await self._lines.receive_until(b"\n", _LINE_MAX_BYTES)).decode()


async def installed() -> Path:
    """The Python of an environment that has the package; made if it is not there."""
    directory = _cache() / f"llm-sandbox-{VERSION}"
    python = directory / "bin" / "python"
    done = directory / ".done"
    if not done.exists():
        await anyio.run_process([sys.executable, "-m", "venv", "--clear", str(directory)])
        await anyio.run_process([str(python), "-m", "pip", "install", "-q", f"llm-sandbox[docker]=={VERSION}"])
        await anyio.to_thread.run_sync(done.touch)
    return python


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "wavepool-bench"
