"""What reused containers are asked to bear: tasks that leave things, break things, or mean harm.

Each one either leaves nothing that the next could see, or spoils its container, which says so.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.attachment import Attachment
from wavepool.drivers.docker.reusing import opening
from wavepool.drivers.parking import Claim, Execution, ReusableContainer
from wavepool.errors import CannotPark, InputError, NotClaimed, NotStarted, Unknown
from wavepool.model import Limits, Mount
from wavepool.testing.observing import raised
from wavepool.testing.reuse_contract import Heard, reusable

if TYPE_CHECKING:
    from conftest import DockerWorld, Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

PIDS = 40
BARE = "dash and no rm"
PROGRAMS = ["rm", "chmod", "sleep", "true", "cat", "ls", "mkdir", "dd", "ipcmk", "prlimit", "renice", "taskset"]

PROBE = (
    "for d in /tmp /run /workspace /dev/shm /dev/mqueue; do echo $d:; ls -A $d; done; "
    "set -- $(ls -ldn /workspace); echo $1 $3 $4; set -- /proc/[0-9]*; echo $#; pwd; umask; "
    "echo ${LEFT-unset} ${TASK_PROMPT-unset}; cat $TASK_PROMPT_FILE"
)
"""What a task sees. Its own processes are two with the one that lists."""

HARMLESS = {
    "files of all kinds and names": (
        "for d in /tmp /run /workspace /dev/shm; do cd $d; echo x >.a; echo x >'b\n c'; echo x >'*'; echo x >-rf; "
        "mkdir ...; mkdir -p d/e/f; ln -s /nowhere g 2>/dev/null; done; cd /; exit 0",
        0,
    ),
    "a queue of messages": (": >/dev/mqueue/left; exit 0", 0),
    "directories that nobody may enter": (
        "for d in /tmp /workspace; do mkdir -p $d/a/b/c; : >$d/a/b/c/f; chmod 000 $d/a/b/c; chmod 0 $d/a/b $d/a; done",
        0,
    ),
    "a file system in memory filled to the brim": ("dd if=/dev/zero of=/tmp/big bs=1M 2>/dev/null", 1),
    "daemons that ignore signals": (
        "trap '' HUP INT TERM QUIT; for i in 1 2 3 4 5; do (while :; do sleep 1; done) & done; exit 4",
        4,
    ),
    "daemons that forked twice": ("for i in 1 2 3; do ( ( sleep 1000 & ) & ) ; done; exit 0", 0),
    "writers in the background": ("(while :; do echo x; echo y >&2; done) & exit 0", 0),
    "a bomb of processes": (
        "f() { f | f & f; }; (f 2>/dev/null) & i=0; "
        "while set -- /proc/[0-9]*; [ $# -lt 30 ] && [ $i -lt 5000 ]; do i=$((i + 1)); done; exit 0",
        0,
    ),  # one that dies out while nobody looks never comes to 30 again
    "as many processes as it may have": (
        f"i=0; while [ $i -lt {PIDS - 3} ]; do sleep 1000 & i=$((i + 1)); done; exit 0",
        0,
    ),
    "a kill of all that it can reach": ("sleep 1000 & kill -9 -1; exit 7", 7),
    "signals to its runner": (
        "for s in 9 15 STOP 1 2 3 11 TSTP; do kill -$s 1; done; exit 0",
        0,
    ),
    "its own death": ("kill -9 $$", 137),
    "hands on its runner's memory and descriptors": (
        "exec 2>/dev/null; ( : >/proc/1/fd/0 ) && exit 1; ( : </proc/1/fd/0 ) && exit 2; ( : >/proc/1/mem ) && exit 3; "
        "cat /proc/1/mem && exit 4; cat /proc/1/environ && exit 5; ls /proc/1/fd/ && exit 6; exit 0",
        0,
    ),
    "a faked end": ("printf '\\036%032d ended 9;\\036%032d done ;' 0 0; printf '\\036'; exit 5", 5),
    "closed streams": ("exec >&- 2>&- <&-; exit 6", 6),
    "a read of its stdin": ("cat; exit 0", 0),
    "output that nobody waits for": ("dd if=/dev/zero bs=64k count=64 2>/dev/null; exit 0", 0),
    "non-blocking output": ("dd if=/dev/null oflag=nonblock 2>/dev/null; exit 0", None),
    "another directory, mask and variable": ("cd /tmp; umask 0; export LEFT=behind; ulimit -n 20; exit 0", 0),
    "another mode of its workspace": ("chmod 1751 /workspace", 0),
    "too much memory": ("dd if=/dev/zero of=/dev/null bs=100M count=1", 137),
}

SPOILING = {
    "the workspace closed": ("busybox", "chmod 000 /workspace", "/workspace cannot be used any more"),
    "limits of the shell": ("dash", "prlimit --pid 1 --nofile=50:50", "its resource limits"),
    "priority of the shell": ("dash", "renice -n 5 -p 1", "its priority"),
    "processors of the shell": ("dash", "taskset -p 1 1", "its processors"),
    "memory of System V": ("dash", "ipcmk -M 4096", "System V IPC"),
    "a queue of System V": ("dash", "ipcmk -Q", "System V IPC"),
    "a semaphore of System V": ("dash", "ipcmk -S 1", "System V IPC"),
    "a path longer than rm can go": (
        "busybox",
        "d=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; "
        "cd /tmp; i=0; while [ $i -lt 60 ]; do mkdir $d && cd -P $d || exit 1; i=$((i + 1)); done",
        "cannot be removed",
    ),
}


def image_of(shell: str, programs_beside: Iterable[str] = PROGRAMS) -> bytes:
    """A file system, as a tar, with a shell of this host as /bin/sh and what a test needs beside it."""
    programs = {name: shutil.which(name) for name in (shell, *programs_beside)}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        pytest.skip(f"this host has no {', '.join(missing)}")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in ("tmp", "run", "workspace", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, f"../bin/{shell}"
        tar.addfile(link)
        libraries: set[str] = set()
        for name, path in programs.items():
            real = str(Path(str(path)).resolve())
            tar.add(real, f"bin/{name}")
            listed = subprocess.run(["ldd", real], capture_output=True, text=True, check=False).stdout
            libraries.update(word for word in listed.split() if word.startswith("/"))
        for library in sorted(libraries):
            tar.add(str(Path(library).resolve()), library.lstrip("/"))
    return made.getvalue()


@pytest.fixture(scope="session")
def images() -> Iterator[dict[str, str]]:
    """References of images with another shell, by its name; made when one is first asked for."""

    class Images(dict[str, str]):
        def __missing__(self, shell: str) -> str:
            content = image_of("dash", ["true"]) if shell == BARE else image_of(shell)
            done = subprocess.run(
                ["docker", "import", "-"], input=content, capture_output=True, check=True, timeout=120
            )
            self[shell] = done.stdout.decode().strip()
            return self[shell]

    made = Images()
    yield made
    for reference in made.values():
        subprocess.run(["docker", "rmi", "-f", reference], capture_output=True, check=False, timeout=120)


def spec_of(world: DockerWorld, images: dict[str, str], shell: str) -> AttemptSpec:
    spec = reusable(world)
    limits = Limits(memory_bytes=48 << 20, pids=PIDS)
    image = spec.image if shell == "busybox" else images[shell]
    return replace(spec, image=image, limits=limits, tmpfs={"/tmp": 8 << 20, "/run": 1 << 20})


@asynccontextmanager
async def opened(world: DockerWorld, spec: AttemptSpec) -> AsyncIterator[ReusableContainer]:
    async with world.driver() as driver:
        container = await driver.open_reusable(spec)
        try:
            yield container
        finally:
            await container.close()
            assert (await driver.remove(container.handle)).errors == ()


async def run(container: ReusableContainer, script: str, **claim: Any) -> tuple[Execution, Heard]:
    heard = Heard()
    done = await container.execute(Claim(command=("/bin/sh", "-c", script), **claim), heard)
    return done, heard


@pytest.mark.parametrize("shell", ["busybox", "dash", "bash"])
async def test_nothing_of_a_task_reaches_the_next(world: DockerWorld, images: dict[str, str], shell: str) -> None:
    world.allow(300)
    async with opened(world, spec_of(world, images, shell)) as container:
        fresh, seen = await run(container, PROBE)
        assert fresh.clean, fresh.problem
        for what, (script, code) in HARMLESS.items():
            done, heard = await run(container, script, prompt=f"prompt of {what}", env={"LEFT": "given"})
            assert done.clean, f"{what}: {done.problem}"
            assert code is None or done.exit_code == code, f"{what}: {done.exit_code} {heard.stderr!r}"
            after, now = await run(container, PROBE)
            assert (after.exit_code, after.clean) == (0, True), f"{what}: {after.problem}"
            assert (now.stdout, now.stderr) == (seen.stdout, seen.stderr), what
            if what == "too much memory":
                assert done.oom_kills == 1
            else:
                assert not done.oom_kills, what
            if what.startswith("output that"):
                assert len(heard.stdout) == 64 * 64 * 1024, "all of it is told"
            if what == "its own death":
                assert heard.stderr == b"", "no shell says a word of its own"


@pytest.mark.parametrize("what", SPOILING)
async def test_what_cannot_be_undone_spoils_the_container(
    world: DockerWorld, images: dict[str, str], what: str
) -> None:
    shell, script, problem = SPOILING[what]
    async with opened(world, spec_of(world, images, shell)) as container:
        done, heard = await run(container, script)
        assert done.exit_code == 0, heard.stderr
        assert not done.clean
        assert problem in done.problem
        await raised(NotClaimed, container.execute(Claim(command=("true",)), Heard()))


async def test_a_container_killed_under_its_task_is_unknown(world: DockerWorld, images: dict[str, str]) -> None:
    async with opened(world, spec_of(world, images, "busybox")) as container:
        begun = anyio.Event()

        async def execute() -> None:
            claim = Claim(command=("/bin/sh", "-c", "echo begun; exec sleep 1000"))
            await raised(Unknown, container.execute(claim, lambda stream, data: begun.set()))

        async with anyio.create_task_group() as group:
            group.start_soon(execute)
            await begun.wait()
            await world.docker("kill", container.handle.id)
        await raised(NotClaimed, container.execute(Claim(command=("true",)), Heard()))


async def test_one_that_ended_while_it_waited_runs_nothing(world: DockerWorld, images: dict[str, str]) -> None:
    async with opened(world, spec_of(world, images, "busybox")) as container:
        assert (await run(container, "exit 0"))[0].clean
        await world.docker("kill", container.handle.id)
        await world.docker("wait", container.handle.id)
        error = await raised((NotClaimed, Unknown), container.execute(Claim(command=("true",)), Heard()))
        assert error is not None


async def test_a_wipe_that_takes_too_long_keeps_the_exit_code(
    world: DockerWorld, images: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(world, spec_of(world, images, "busybox")) as container:
        monkeypatch.setattr("wavepool.drivers.docker.reusing.container.WIPE_S", 0.0)
        done, heard = await run(
            container, "echo said; i=0; while [ $i -lt 3000 ]; do : >f$i; i=$((i + 1)); done; exit 3"
        )
        assert (done.exit_code, done.clean) == (3, False)
        assert "could not be removed within" in done.problem
        assert heard.stdout == b"said\n"
        await raised(NotClaimed, container.execute(Claim(command=("true",)), Heard()))


async def test_a_task_gets_its_own_limits(world: DockerWorld, images: dict[str, str]) -> None:
    greedy = "dd if=/dev/zero of=/dev/null bs=30M count=1"
    async with opened(world, spec_of(world, images, "busybox")) as container:
        small = Limits(memory_bytes=16 << 20, pids=10)
        done, _ = await run(container, greedy, limits=small)
        assert (done.exit_code, done.oom_kills, done.clean) == (137, 1, True)
        done, _ = await run(container, greedy)
        assert (done.exit_code, done.oom_kills, done.clean) == (0, 0, True), "back to those it was made with"
        config = (await world.inspect(container.handle.id))["HostConfig"]
        assert (config["Memory"], config["PidsLimit"]) == (48 << 20, PIDS)


async def test_a_shared_workspace_stays_as_tasks_leave_it(world: DockerWorld, images: dict[str, str]) -> None:
    shared = world.root / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    beside = world.root / "beside"
    beside.mkdir()
    beside.chmod(0o777)
    spec = replace(
        spec_of(world, images, "busybox"),
        workspace=shared,
        mounts=(Mount(source=str(beside), target="/beside", read_only=False),),
    )
    async with opened(world, spec) as container:
        done, _ = await run(container, "echo a >/workspace/kept; echo b >/beside/kept; echo c >/tmp/gone")
        assert done.clean, done.problem
        _, heard = await run(container, "cat /workspace/kept /beside/kept; ls -A /tmp")
        assert heard.stdout == b"a\nb\n"
    assert (shared / "kept").read_text() == "a\n"


@pytest.mark.parametrize("when", ["before its hello", "after its hello"])
async def test_one_that_is_killed_at_its_start_says_nothing_against_its_image(
    world: DockerWorld, images: dict[str, str], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    greet = opening.greet

    async def killed(api: DockerApi, spec: AttemptSpec, container_id: str, attachment: Attachment) -> None:
        if when == "after its hello":
            await greet(api, spec, container_id, attachment)
            monkeypatch.setattr(opening.Reuse, "_look", looked_at_before)
        await world.docker("kill", container_id)
        if when == "before its hello":
            await greet(api, spec, container_id, attachment)

    async def looked_at_before(*_: object) -> tuple[int, dict[str, str]]:
        return 1, {}  # what the engine said in the moment before its end: a process that is none of its own now

    monkeypatch.setattr(opening, "greet", killed)
    async with world.driver() as driver:
        error = await raised(NotStarted, driver.open_reusable(spec_of(world, images, "busybox")))
    assert error.transient


async def test_the_engine_s_own_socket_is_never_mounted(
    world: DockerWorld, images: dict[str, str], proxy: Proxy
) -> None:
    spec = spec_of(world, images, "busybox")
    spec = replace(spec, mounts=(Mount(source=str(proxy.path), target="/engine"),))
    async with world.driver(host=proxy.host) as driver:
        error = await raised(NotStarted, driver.open_reusable(spec))
    assert "never mounted" in error.message


async def test_what_an_image_brings_can_forbid_reuse(world: DockerWorld, images: dict[str, str]) -> None:
    base = images["dash"]
    with_volume = await _changed(world, base, "VOLUME /data")
    without_shell = await world.docker("import", "/dev/null")
    images.update({"volume": with_volume, "empty": without_shell})  # so that they go with the others
    async with world.driver() as driver:
        spec = spec_of(world, images, "volume")
        error = await raised(CannotPark, driver.open_reusable(spec))
        assert "/data" in error.message
        spec = spec_of(world, images, "empty")
        error = await raised(CannotPark, driver.open_reusable(spec))
        assert "no shell" in error.message
        error = await raised(CannotPark, driver.open_reusable(spec_of(world, images, BARE)))
        assert "cannot be removed" in error.message
        by_name = replace(spec_of(world, images, "busybox"), user="0")
        await raised(InputError, driver.open_reusable(by_name))


async def _changed(world: DockerWorld, base: str, change: str) -> str:
    """An image like `base`, with one line of a Dockerfile more."""
    container = await world.docker("create", base, "none")
    made = await world.docker("commit", "--change", change, container)
    await world.docker("rm", container)
    return made
