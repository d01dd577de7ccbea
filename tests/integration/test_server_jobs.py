"""Jobs with real processes: what they write, how many there are, and that they end whole."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from wavepool.web.jobs import RUNNING_MAX, Job, Jobs, TooManyJobs, UnknownJob, open_jobs
from wavepool.web.jobs import job as settings

DEADLINE_S = 180.0
pytestmark = pytest.mark.anyio

SCRIPT = """
import os, subprocess, sys, time
verb, *rest = sys.argv[1:]
if verb == "speak":
    sys.stdout.write(sys.stdin.read() + os.environ.get("GIVEN", "") + os.environ.get("WAVEPOOL_TOKEN", "no token"))
    sys.stderr.write(os.environ["WAVEPOOL_STATE_DIR"])
elif verb == "flood":
    for _ in range(96):
        sys.stdout.write("x" * (1 << 16))
elif verb == "family":
    child = subprocess.Popen(["sleep", "1000"])
    open(rest[0], "w").write(f"{os.getpid()} {child.pid}")
    if "deaf" in rest:
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(rest[0] + ".deaf", "w").close()
    time.sleep(1000 if "leaves" not in rest else 0)
elif verb == "orderly":
    import signal
    child = subprocess.Popen(["sleep", "1000"])
    apart = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    def end(*_):
        open(rest[0] + ".asked", "a").write("asked")
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    open(rest[0] + ".new", "w").write(f"{os.getpid()} {child.pid} {apart.pid}")
    os.rename(rest[0] + ".new", rest[0])
    time.sleep(1000)
sys.exit(5 if verb == "fail" else 0)
"""

SERVER = """
import anyio, sys
from pathlib import Path
from wavepool.web.jobs import open_jobs
async def main(directory):
    async with open_jobs(Path(directory), command=(sys.executable, "-c", sys.argv[1])) as jobs:
        await jobs.start(["orderly", directory + "/pids"])
        await anyio.sleep_forever()
anyio.run(main, sys.argv[2])
"""


@asynccontextmanager
async def jobs_in(directory: Path) -> AsyncIterator[Jobs]:
    environ = {**os.environ, "WAVEPOOL_TOKEN": "private"}
    with anyio.fail_after(DEADLINE_S):
        async with open_jobs(directory, command=(sys.executable, "-c", SCRIPT), environ=environ) as jobs:
            yield jobs


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for is other processes' doing
        await anyio.sleep(0.02)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids_in(path: Path) -> list[int]:
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


async def family(jobs: Jobs, path: Path, *words: str) -> tuple[Job, list[int]]:
    """A job with a child of its own, and both their pids."""
    job = await jobs.start(["family", str(path), *words])
    await until(lambda: len(pids_in(path)) == 2)
    return job, pids_in(path)


async def test_what_a_job_is_given_and_what_it_writes(tmp_path: Path) -> None:
    async with jobs_in(tmp_path) as jobs:
        job = await jobs.start(["speak"], given=b"in ", environment={"GIVEN": "var "})
        failing = await jobs.start(["fail"])
        await job.ended.wait()
        await failing.ended.wait()
        assert job.stdout.whole() == b"in var no token"
        assert job.stderr.whole() == str(tmp_path).encode()
        assert (job.state, failing.state, failing.exit_code) == ("succeeded", "failed", 5)
        assert jobs.all() == [failing, job]
        with pytest.raises(UnknownJob):
            jobs.get("none")


async def test_output_without_end_is_bounded(tmp_path: Path) -> None:
    async with jobs_in(tmp_path) as jobs:
        job = await jobs.start(["flood"])
        await job.ended.wait()
        assert job.stdout.total == 96 << 16
        assert job.stdout.kept == settings.STDOUT_BYTES


async def test_a_job_that_is_deaf_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PATIENCE_S", 0.2)
    async with jobs_in(tmp_path) as jobs:
        job, pids = await family(jobs, tmp_path / "pids", "deaf")
        await until((tmp_path / "pids.deaf").exists)
        job.cancel()
        await job.ended.wait()
        assert (job.state, job.exit_code) == ("cancelled", -signal.SIGKILL)
        await until(lambda: not any(map(is_there, pids)))


async def test_what_a_job_leaves_in_its_group_ends_with_it(tmp_path: Path) -> None:
    async with jobs_in(tmp_path) as jobs:
        job, pids = await family(jobs, tmp_path / "pids", "leaves")
        await job.ended.wait()
        assert job.state == "succeeded"
        await until(lambda: not any(map(is_there, pids)))


async def test_all_end_with_the_server_and_no_more_than_may_run_at_once(tmp_path: Path) -> None:
    async with jobs_in(tmp_path) as jobs:
        started = [await family(jobs, tmp_path / f"pids{number}") for number in range(RUNNING_MAX)]
        with pytest.raises(TooManyJobs):
            await jobs.start(["speak"])
    assert {job.state for job, _ in started} == {"cancelled"}
    pids = [pid for _, both in started for pid in both]
    with anyio.fail_after(DEADLINE_S):
        await until(lambda: not any(map(is_there, pids)))


async def test_jobs_of_a_server_that_was_killed_are_asked_to_end_and_what_is_apart_stays(tmp_path: Path) -> None:
    server = await anyio.open_process([sys.executable, "-c", SERVER, SCRIPT, str(tmp_path)], stdout=None, stderr=None)
    with anyio.fail_after(DEADLINE_S):
        await until((tmp_path / "pids").exists)
        job, child, apart = pids_in(tmp_path / "pids")
        assert all(map(is_there, (job, child, apart)))
        server.kill()
        await server.wait()
        await until(lambda: not is_there(job) and not is_there(child))
    assert (tmp_path / "pids.asked").read_text() == "asked"
    assert is_there(apart)
    os.kill(apart, signal.SIGKILL)
