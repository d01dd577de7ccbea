"""Parked containers on the real engine: what their task sees, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import termios
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Handle, Needs, NetworkNeed, Observation, Phase
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.parking.claim_mark import UNTOUCHED, is_laid_out
from wavepool.drivers.docker.remains.removal import Remover, Target
from wavepool.drivers.parking import Claim
from wavepool.drivers.start_mark import FILE, is_marked, make_mark
from wavepool.errors import CannotPark, MayHaveRun, NotClaimed, Unknown
from wavepool.model import Limits, VerdictKind
from wavepool.testing.daemon_proxy import engine_socket
from wavepool.testing.observing import ending_from, output, phase_of, raised, scope_of, wait_ended, wait_for_output
from wavepool.units import MIB

if TYPE_CHECKING:
    from conftest import DockerWorld, Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


LOOKS = r"""
tr '\0' '\n' </proc/$$/environ | sort; pwd; id; umask; ulimit -a
sed -n 's/^\(Sig...\|Cap...\|NoNewPrivs\|Seccomp\|Groups\|Threads\):/\1/p' /proc/$$/status
cat /proc/1/comm; sed 's/^.*) //' /proc/$$/stat | cut -d' ' -f2
for n in 0 1 2 3 4 5 6 7 8 9 10 11 12; do readlink /proc/$$/fd/$n; grep -s flags /proc/$$/fdinfo/$n; done
cut -d' ' -f5- /proc/self/mountinfo | sed 's/ - .*//' | sort
cat /proc/$$/oom_score_adj; cat "$TASK_PROMPT_FILE"; ls -ln /run/secrets/key | cut -c 1-50; cat /run/secrets/key
cat | wc -c; tr '\0' ' ' </proc/$$/cmdline
"""
"""What a task can see of its surroundings, as far as a script of busybox can look."""


def late(world: DockerWorld, **changes: Any) -> AttemptSpec:
    spec = world.spec(None)
    return replace(spec, late=True, workspace=spec.slot / "work", **changes)


def claim(script: str, **fields: Any) -> Claim:
    return Claim(command=("/bin/sh", "-c", script), **fields)


async def parked_ended(driver: DockerDriver, handle: Handle) -> None:
    """Until its log ends, as a pool sees it."""
    await output(driver, handle)


# ---- the same as cold ----


async def test_a_claimed_task_sees_what_a_cold_one_sees(world: DockerWorld) -> None:
    world.workspace.chmod(0o777)
    cold = replace(
        world.spec(
            ("/bin/sh", "-c", LOOKS, "an 'argument'\n"),
            prompt="do 'it'\n",
            env={"GREETING": "it's\n$HOME", "SHLVL": "9"},
            secret_values={"key": b"s3'cret\n"},
        ),
        user="1000:1000",
        read_only=True,
        tmpfs={"/tmp": MIB},
    )
    bound = replace(cold, name=f"{cold.name}-b", slot=world.root / "bound")
    told_late = replace(cold, name=f"{cold.name}-l", slot=world.root / "late", late=True, command=None, prompt="")
    told_late = replace(told_late, secrets={}, env={"GREETING": "other"})
    async with world.driver() as driver:
        seen: list[str] = []
        for spec in (cold, bound, told_late):
            spec.slot.mkdir(exist_ok=True)
            handle = await (driver.start(spec) if spec is cold else driver.park(spec))
            if spec is bound:
                await driver.start(spec)
            if spec is told_late:
                told = Claim(command=cold.command, env=cold.env, prompt=cold.prompt, secrets=cold.secrets)
                await driver.claim(handle, told)
            stdout, stderr = await output(driver, handle)
            assert stderr == b""
            found = await world.inspect(handle.id)
            assert found["Config"]["WorkingDir"] == "/workspace"
            assert "s3'cret" not in str(found)
            shown = stdout.decode().replace(handle.id, "ID").replace(handle.id[:12], "ID")
            seen.append(re.sub(r"(pipe|master):\[?\d+\]?", r"\1", shown))
    own_mount = re.compile(r"^/run/(wavepool-slot|secrets) .*\n", re.MULTILINE)
    first, second, third = (own_mount.sub("", each) for each in seen)
    assert "GREETING=it's" in first
    assert second == first
    assert third == first


async def test_a_resized_container_has_the_limits_of_its_claim(world: DockerWorld) -> None:
    wanted = Limits(memory_bytes=64 * MIB, cpus=0.5, pids=77)
    smaller = Limits(memory_bytes=16 * MIB)
    async with world.driver() as driver:
        for limits in (wanted, smaller):
            spec = late(world, limits=Limits(memory_bytes=32 * MIB, pids=50))
            handle = await driver.park(spec)
            await driver.claim(handle, claim("cat /sys/fs/cgroup/pids/pids.max 2>/dev/null; sleep 600", limits=limits))
            config = (await world.inspect(handle.id))["HostConfig"]
            assert [config[key] for key in ("Memory", "MemorySwap", "MemoryReservation")] == [limits.memory_bytes] * 3
            assert config["PidsLimit"] == (limits.pids or 0), "0 is no limit"
            assert config["NanoCpus"] == (limits.cpus or 0) * 1_000_000_000


# ---- endings ----


async def test_the_end_of_a_claimed_task_is_told_by_its_event_alone(world: DockerWorld, proxy: Proxy) -> None:
    spec = late(world)
    async with world.driver(host=proxy.host) as driver, driver.watch(scope_of(spec)) as states:
        handle = await driver.park(spec)
        proxy.asked.clear()
        await driver.claim(handle, claim("exit 9"))
        told = await ending_from(states, spec)
        assert told.ending is not None
        assert (told.ending.kind, told.ending.evidence.exit_code) == (VerdictKind.FAILED, 9)
        assert told.started_at == driver.claimed_at(spec.slot)
        assert [line for line in proxy.asked if b"/json" in line] == [], "nobody had to ask how it ended"


async def test_tasks_with_bad_manners_end_as_anywhere(world: DockerWorld) -> None:
    manners = {
        "closes its streams": ("exec >&- 2>&-; exit 5", 5),
        "leaves daemons behind": ("(trap '' TERM HUP; sleep 300) >/dev/null 2>&1 & exit 6", 6),
        "never reads": ("sleep 0.2; exit 7", 7),
        "reads all there is": ("cat >/dev/null; exit 8", 8),
        "floods": ("head -c 3000000 /dev/zero; exit 9", 9),
        "takes its mark away": ("rm -f /run/wavepool-slot/*; exit 10", 10),
    }
    async with world.driver() as driver:
        for script, code in manners.values():
            spec = late(world)
            handle = await driver.park(spec)
            await driver.claim(handle, claim(script))
            told = await wait_ended(driver, spec)
            assert told.ending is not None
            assert told.ending.evidence.exit_code == code
            began = driver.claimed_at(spec.slot)
            assert began is not None
            assert told.started_at is not None
            # One that takes its mark away may do so between two looks: then the directory says when.
            assert abs((began - told.started_at).total_seconds()) < 1
            if code == 9:
                assert len((await output(driver, handle))[0]) == 3_000_000


# ---- deaths ----


async def test_one_that_died_while_parked_is_not_claimed_and_its_attempt_runs_cold(world: DockerWorld) -> None:
    bound = world.spec(world.commands.counts("bound", 0))
    spec = late(world)
    async with world.driver() as driver:
        handles = [await driver.park(each) for each in (bound, spec)]
        await world.docker("kill", *(handle.id for handle in handles))
        for handle in handles:
            await parked_ended(driver, handle)
        await raised(NotClaimed, driver.claim(handles[1], claim("exit 0")))
        assert driver.claimed_at(spec.slot) is None
        assert await driver.start(bound) != handles[0]
        await wait_ended(driver, bound)
    assert world.executions(bound, "bound") == 1


async def test_one_that_dies_in_the_instant_of_its_claim_ran_or_did_not_and_the_claim_says_which(
    world: DockerWorld,
) -> None:
    outcomes: set[bool] = set()
    async with world.driver() as driver:
        specs = [late(world) for _ in range(6)]
        handles = [await driver.park(spec) for spec in specs]
        for number, (spec, handle) in enumerate(zip(specs, handles, strict=True)):
            pid = int((await world.inspect(handle.id))["State"]["Pid"])
            if number % 2:  # its shell reads its claim, if ever, when it is let go: it never is
                os.kill(_only_child_of(pid), signal.SIGSTOP)
            claimed = None
            async with anyio.create_task_group() as group:
                group.start_soon(_kill_after, pid, 0.001 * number)
                try:
                    await driver.claim(handle, claim("echo ran >>/workspace/trace; sleep 600"))
                    claimed = True
                except NotClaimed:
                    claimed = False
            outcomes.add(claimed)
            assert (driver.claimed_at(spec.slot) is not None) == claimed
            if not claimed:
                assert not (spec.workspace / "trace").exists()
    assert False in outcomes


def _only_child_of(init: int) -> int:
    """The shell of a parked container; process 1 of it, which is killed, is the init."""
    return int(Path(f"/proc/{init}/task/{init}/children").read_text())


async def _kill_after(pid: int, delay_s: float) -> None:
    await anyio.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)


async def test_a_killed_orchestrator_takes_the_unclaimed_along_and_leaves_the_claimed(world: DockerWorld) -> None:
    claimed, unclaimed, bound = late(world), late(world), world.spec(world.commands.counts("bound", 0))
    program = textwrap.dedent(
        """
        import pickle, sys, anyio
        from pathlib import Path
        from wavepool.drivers.docker import DockerDriver
        from wavepool.drivers.parking import Claim

        async def main():
            specs, secrets_dir = pickle.load(sys.stdin.buffer)
            async with DockerDriver(secrets_dir=secrets_dir) as driver:
                handles = [await driver.park(spec) for spec in specs]
                await driver.claim(handles[0], Claim(command=("/bin/sh", "-c", "echo hello; sleep 0.5; exit 4")))
                print(*(handle.id for handle in handles), flush=True)
                await anyio.sleep_forever()

        anyio.run(main)
        """
    )
    ids = await anyio.to_thread.run_sync(
        _killed_when_it_said, program, ((claimed, unclaimed, bound), world.secrets_dir)
    )
    async with world.driver() as driver:
        told = await wait_ended(driver, claimed)
        assert told.ending is not None
        assert told.ending.evidence.exit_code == 4
        assert told.started_at == driver.claimed_at(claimed.slot)
        await output(driver, Handle(driver="docker", id=ids[1], name=unclaimed.name, attempt=unclaimed.attempt))
        assert (await world.inspect(ids[1]))["State"]["Status"] == "exited"
        assert driver.claimed_at(unclaimed.slot) is None
        await driver.start(bound)
        await wait_ended(driver, bound)
    assert world.executions(bound, "bound") == 1


def _killed_when_it_said(program: str, given: object) -> list[str]:
    """Run a program, kill it when it has written a line, and give the words of that."""
    import pickle

    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps(given))
        process.stdin.close()
        said = process.stdout.readline()
        process.kill()
    return said.decode().split()


async def test_a_shell_that_does_not_answer_is_ended_and_then_it_is_certain(world: DockerWorld) -> None:
    spec = late(world)
    async with world.driver(claim_deadline_s=0.5) as driver:
        handle = await driver.park(spec)
        # stopped, not paused: the engine thaws what it ends, and a thawed shell may read its line before the signal
        await world.docker("exec", "--workdir", "/", handle.id, "sh", "-c", "kill -STOP -1")
        await raised(NotClaimed, driver.claim(handle, claim("touch /workspace/ran")))
        assert (await world.inspect(handle.id))["State"]["Running"] is False
    assert not (spec.workspace / "ran").exists()


async def test_a_claim_that_nobody_can_settle_is_unknown(world: DockerWorld, proxy: Proxy) -> None:
    spec = late(world)
    async with world.driver(host=proxy.host, claim_deadline_s=2) as driver:
        handle = await driver.park(spec)
        pid = int((await world.inspect(handle.id))["State"]["Pid"])
        await world.docker("pause", handle.id)
        async with anyio.create_task_group() as group:
            group.start_soon(_down_when_told, proxy, pid)
            await raised(Unknown, driver.claim(handle, claim("echo ran; sleep 600")))
        await world.docker("unpause", handle.id)
        proxy.up()
    async with world.driver() as driver:
        await wait_for_output(driver, handle, b"ran\n")  # the daemon had passed the command on
        assert await phase_of(driver, spec) is Phase.RUNNING, "its mark tells what nobody could"


async def _down_when_told(proxy: Proxy, pid: int) -> None:
    """Once the command lies in the stdin of a process that does not read."""
    while _unread_bytes(pid) == 0:  # noqa: ASYNC110 - a pipe tells nobody
        await anyio.sleep(0.01)
    proxy.down()


def _unread_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/fd/0", "rb") as stdin:
        return int.from_bytes(fcntl.ioctl(stdin, termios.FIONREAD, bytes(4)), sys.byteorder)


# ---- the steps of a bound claim ----


async def test_a_claim_that_was_never_sent_runs_cold(world: DockerWorld) -> None:
    spec = world.spec(world.commands.counts("unsent", 0))
    async with world.driver() as driver:
        parked = await driver.park(spec)
        make_mark(spec.slot)  # the process dies between this and the write
    async with world.driver() as driver:
        assert await driver.start(spec) != parked
        await wait_ended(driver, spec)
    assert world.executions(spec, "unsent") == 1
    assert is_marked(spec.slot), "by the cold start"


async def test_a_claim_that_was_sent_is_adopted_whatever_became_of_the_task(world: DockerWorld) -> None:
    runs, ended, gone = [
        world.spec(world.commands.counts(name, 0 if name != "runs" else 60)) for name in ("runs", "ended", "gone")
    ]
    async with world.driver() as driver:
        handles = [await driver.park(spec) for spec in (runs, ended, gone)]
        for spec in (runs, ended, gone):
            await driver.start(spec)
        await wait_ended(driver, ended)
        await wait_ended(driver, gone)
    await world.docker("rm", "-f", handles[2].id)
    async with world.driver() as driver:
        assert [await driver.start(spec) for spec in (runs, ended)] == handles[:2]
        await raised(MayHaveRun, driver.start(gone))
    assert [world.executions(spec, name) for spec, name in ((ended, "ended"), (gone, "gone"))] == [1, 1]


@pytest.mark.parametrize("lost", ["what was written down", "the directory"])
async def test_where_the_evidence_is_gone_it_may_have_run(world: DockerWorld, lost: str) -> None:
    spec, told = world.spec(world.commands.counts("again", 0)), late(world)
    async with world.driver() as driver:
        for each in (spec, told):
            handle = await driver.park(each)
            await world.docker("kill", handle.id)
            await world.docker("wait", handle.id)
            _lose(each.slot, lost)
        # an engine that closes the shell's connection as it ends has told us by then that no claim was ever sent
        with pytest.raises((Unknown, NotClaimed)):
            await driver.claim(handle, claim("true"))
    async with world.driver() as driver:
        for _ in range(2):  # nothing that the first call does makes a proof for the second
            await raised(MayHaveRun, driver.start(spec))
            await raised(MayHaveRun, driver.park(spec))
    assert (await world.inspect(spec.name))["State"]["Running"] is False
    assert world.executions(spec, "again") == 0


def _lose(slot: Path, what: str) -> None:
    if what == "the directory":
        shutil.rmtree(slot / "mark")
    else:
        (slot / UNTOUCHED).unlink()


async def test_taking_an_unclaimed_one_away_can_be_repeated(
    world: DockerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = world.spec(world.commands.counts("repeated", 0))
    async with world.driver() as driver:
        parked = await driver.park(spec)
        make_mark(spec.slot)

    async def busy(self: Remover, target: Target) -> str:
        return "device or resource busy"

    async with world.driver() as driver:
        with monkeypatch.context() as patch:
            patch.setattr(Remover, "remove_known", busy)
            await raised(Unknown, driver.start(spec))
        assert is_laid_out(spec.slot), "the proof that it never ran goes after it"
        assert not is_marked(spec.slot)
        assert await driver.start(spec) != parked
        await wait_ended(driver, spec)
    assert world.executions(spec, "repeated") == 1


async def test_a_claim_of_an_earlier_boot_may_be_forgotten(world: DockerWorld) -> None:
    spec = world.spec(world.commands.counts("earlier", 0))
    async with world.driver() as driver:
        await driver.park(spec)
        make_mark(spec.slot)
    when = (spec.slot / FILE).read_text().split()[0]
    (spec.slot / FILE).write_text(f"{when} 00000000-0000-0000-0000-000000000000\n")  # a clock that was set back
    async with world.driver() as driver:
        error = await raised(MayHaveRun, driver.start(spec))
    assert "restarted since" in error.message
    assert world.executions(spec, "earlier") == 0


async def test_no_connection_outlives_its_container(world: DockerWorld) -> None:
    again, removed = world.spec(world.commands.exits(0)), late(world)
    async with world.driver() as driver:
        await driver.park(again)
        first = driver._parker.held(again.name)
        assert first is not None
        second = await driver.park(again)
        assert not first.attachment.is_open
        assert driver.is_parked(second)
        handle = await driver.park(removed)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await driver.remove(handle)
        assert scope.cancelled_caught
        assert not driver.is_parked(handle), "whether or not it is there yet"


# ---- what cannot be parked ----


async def test_an_image_without_a_shell_cannot_be_parked_and_runs_cold(world: DockerWorld) -> None:
    image = f"wavepool-test-shell-less:{world.owner}"
    await anyio.to_thread.run_sync(_import_shell_less, image)
    try:
        spec = replace(world.spec(None), image=image, labels={**world.spec(None).labels})
        async with world.driver() as driver:
            for _ in range(2):
                assert "/bin/sh" in (await raised(CannotPark, driver.park(spec))).message
                assert await world.docker("ps", "-aq", "--filter", f"label={labels.OWNER}={world.owner}") == ""
            told = await wait_ended(driver, (await driver.start(spec), spec)[1])
            assert told.ending is not None
            assert told.ending.kind is VerdictKind.SUCCESS
            await driver.remove(scope_of(spec))
    finally:
        await world.docker("rmi", "-f", image)


def _import_shell_less(image: str) -> None:
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add("/bin/busybox", "busybox")
        subprocess.run(
            ["docker", "import", "--change", 'ENTRYPOINT ["/busybox", "true"]', "-", image],
            input=buffer.getvalue(),
            capture_output=True,
            check=True,
        )


@pytest.mark.parametrize("variable", ["a.b", "IFS"])
async def test_variables_that_a_shell_loses_cannot_be_parked(world: DockerWorld, variable: str) -> None:
    spec = replace(world.spec(world.commands.shows_env("TASK_ID")), env={variable: "x"})
    async with world.driver() as driver:
        assert variable in (await raised(CannotPark, driver.park(spec))).message
        await driver.start(spec)
        await wait_ended(driver, spec)


async def test_a_remote_daemon_cannot_park(world: DockerWorld) -> None:
    async with _tcp_door() as address, world.driver(host=address) as driver:
        assert "remote" in (await raised(CannotPark, driver.park(late(world)))).message


@asynccontextmanager
async def _tcp_door() -> AsyncIterator[str]:
    """The engine behind an address of the network."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(engine_socket())
        async with anyio.create_task_group() as group:
            group.start_soon(pump, reader, engine_writer)
            group.start_soon(pump, engine_reader, writer)

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield "tcp://{}:{}".format(*server.sockets[0].getsockname())


# ---- secrets, networks ----


async def test_a_late_secret_is_nowhere_but_in_its_file(world: DockerWorld) -> None:
    spec = late(world)
    script = (
        "cat /run/secrets/key; ls -ln /run/secrets; "
        "cat /proc/*/cmdline /proc/*/environ | tr '\\0' '\\n' | grep -c 's3c[r]'"
    )
    async with world.driver() as driver:
        handle = await driver.park(spec)
        await driver.claim(handle, claim(script, secrets={"key": b"s3cr\xc3\xa9t\0\n"}))
        stdout = (await output(driver, handle))[0]
        assert stdout.startswith(b"s3cr\xc3\xa9t\0\n")
        assert b"-r--------" in stdout
        assert stdout.endswith(b"\n0\n"), "no argv and no environment has it, not even while it is written"
        assert "s3cr" not in str(await world.inspect(handle.id))
    assert [path for path in spec.slot.rglob("*") if path.is_file() and b"s3cr" in path.read_bytes()] == []
    assert not world.secrets_dir.exists()


async def test_containers_on_a_private_network_cannot_reach_each_other(world: DockerWorld) -> None:
    name = f"wavepool-test-private-{world.owner}"
    need = NetworkNeed(name=name, labels={labels.OWNER: world.owner, labels.SCOPE: "shared"}, private=True)
    async with world.driver() as driver:
        await driver.prepare(Needs(images=(world.image,), networks=(need,)))
        one, other = late(world, network=name), late(world, network=name)
        listening = await driver.park(one)
        calling = await driver.park(other)
        await driver.claim(listening, claim("echo ready; nc -l -p 7000 -e echo reached"))
        await wait_for_output(driver, listening, b"ready\n")
        found = await world.inspect(listening.id)
        address = found["NetworkSettings"]["Networks"][name]["IPAddress"]
        await driver.claim(calling, claim(f"nc -w 2 {address} 7000 </dev/null; echo done"))
        assert (await output(driver, calling))[0] == b"done\n"
        options = await world.docker("network", "inspect", "--format", "{{json .Options}}", name)
        assert '"com.docker.network.bridge.enable_icc":"false"' in options
        await driver.remove(scope_of(one))


async def test_one_watch_tells_parked_ones_created_and_then_what_they_run(world: DockerWorld) -> None:
    spec = late(world)
    phases: list[Phase] = []
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:

        async def told(last: Phase) -> None:
            while phases[-1:] != [last]:
                word = await anext(states)
                phases.extend([word.phase] if isinstance(word, Observation) else [])

        handle = await driver.park(spec)
        await told(Phase.CREATED)
        await driver.claim(handle, claim("until [ -e go ]; do sleep 0.05; done"))
        await told(Phase.RUNNING)
        (spec.workspace / "go").touch()
        await told(Phase.EXITED)
    assert phases == [Phase.CREATED, Phase.RUNNING, Phase.EXITED]
