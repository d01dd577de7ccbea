"""The process driver on real processes: with control groups where they can be made, and without."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from wavepool.drivers.base import AttemptSpec, Handle, LogChunk, Observation, Phase, Removed, Scope, Synced
from wavepool.drivers.boot import boot_id
from wavepool.drivers.process import ProcessDriver
from wavepool.drivers.process.cgroups import find_cgroups, own_v2_path
from wavepool.drivers.process.records import Record, Records
from wavepool.errors import NoSuchAttempt, NotStarted
from wavepool.model import Ending, Mount, VerdictKind
from wavepool.testing.driver_harness import DriverHarness, ShellCommands
from wavepool.testing.observing import (
    ending_from,
    output,
    phase_of,
    raised,
    run_to_end,
    scope_of,
    thawed,
    wait_ended,
    wait_for_output,
)
from wavepool.units import MIB

pytestmark = pytest.mark.anyio

CGROUP_ROOT = Path("/sys/fs/cgroup")
LIMIT_BYTES = 24 * MIB
TAKES_64_MIB = "dd if=/dev/zero of=/dev/null bs=64M count=2 2>/dev/null"
PATIENCE_S = 120.0
DAEMON = "setsid sh -c 'setsid sh -c \"echo \\$\\$ > {mark}; exec sleep 300\" &' & while [ ! -s {mark} ]; do :; done"
"""A process in a session of its own, whose parents have gone; it leaves its pid in a file."""


def bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Fail a test that hangs."""

    @functools.wraps(test)
    async def within(*args: object, **kwargs: object) -> None:
        with anyio.fail_after(PATIENCE_S):
            await test(*args, **kwargs)

    return within


class World(DriverHarness):
    """A base directory, with or without control groups."""

    def __init__(self, root: Path, cgroup_root: Path) -> None:
        super().__init__(root)
        self.base = root / "base"
        self.secrets = Path("/dev/shm") / f"wavepool-test-{self.owner}"
        self.cgroup_root = cgroup_root
        self.cgroups = find_cgroups(cgroup_root, own_v2_path())
        self.commands = ShellCommands(
            unexecutable=str(self.workspace / "not-executable"), enforces_memory=self.cgroups is not None
        )

    def driver(self, **settings: int) -> ProcessDriver:
        return ProcessDriver(base_dir=self.base, cgroup_root=self.cgroup_root, secrets_dir=self.secrets, **settings)

    def sh(self, script: str, memory_bytes: int = 64 * MIB) -> AttemptSpec:
        return self.spec(("/bin/sh", "-c", script), memory_bytes=memory_bytes)

    def left(self) -> list[str]:
        """All that should be gone once everything has been removed."""
        names = os.listdir(self.base / "attempts") if self.base.exists() else []
        groups = () if self.cgroups is None else self.cgroups.parents()
        names += [name for group in groups if group.exists() for name in os.listdir(group) if self.ours(name)]
        return names + ([str(self.secrets)] if self.secrets.exists() else [])

    def ours(self, name: str) -> bool:
        return (self.root / "slots" / name).exists()


@pytest.fixture(params=["cgroups", "bare"])
async def world(request: pytest.FixtureRequest, tmp_path: Path):
    """Either kind of host; whatever a test leaves behind is an error."""
    bare = request.param == "bare"
    made = World(tmp_path, tmp_path / "no-cgroups" if bare else CGROUP_ROOT)
    if not bare and made.cgroups is None:
        pytest.skip("NO TEST RAN WITH CONTROL GROUPS: none can be made here (run as root)")
    async with made:
        yield made
    assert made.left() == []
    assert pids_below(made.workspace) == []


@pytest.fixture
async def grouped(tmp_path: Path):
    made = World(tmp_path, CGROUP_ROOT)
    if made.cgroups is None:
        pytest.skip("NO TEST RAN WITH CONTROL GROUPS: none can be made here (run as root)")
    async with made:
        yield made
    assert made.left() == []


def pids_below(workspace: Path) -> list[int]:
    """Processes that work in `workspace`."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and Path(os.readlink(f"/proc/{entry}/cwd")).is_relative_to(workspace):
                found.append(int(entry))
        except OSError:
            continue
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ending(told: Observation) -> Ending:
    assert told.ending is not None
    return told.ending


async def started(driver: ProcessDriver, spec: AttemptSpec, awaited: bytes = b"ready\n") -> Handle:
    """Started, and its output has come to `awaited`."""
    handle = await driver.start(spec)
    await wait_for_output(driver, handle, awaited)
    return handle


def supervisor_pid(world: World, spec: AttemptSpec) -> int:
    mark = Records(world.base).mark(spec.name)
    assert mark is not None
    assert mark.supervisor is not None
    return mark.supervisor.pid


# ---- endings ----


@bounded
async def test_each_exit_code_is_told_as_it_was(world: World) -> None:
    async with world.driver() as driver:
        for code in (0, 1, 126, 127, 137):
            told = ending(await run_to_end(driver, world.sh(f"exit {code}")))
            assert told.kind is (VerdictKind.FAILED if code else VerdictKind.SUCCESS)
            assert (told.evidence.exit_code, told.evidence.signal) == (code, None)


@bounded
async def test_a_missing_program_is_told_with_the_kernels_words(world: World) -> None:
    async with world.driver() as driver:
        for program in ("no-such-program-anywhere", "/no/such/program"):
            told = ending(await run_to_end(driver, world.spec((program,))))
            assert (told.kind, told.evidence.exit_code) == (VerdictKind.FAILED, 127)
            assert "No such file" in str(told.evidence.daemon_error)


@bounded
async def test_a_signal_that_is_not_ours_is_named(world: World) -> None:
    async with world.driver() as driver:
        told = ending(await run_to_end(driver, world.sh("kill -SEGV $$")))
        assert told.kind is VerdictKind.FAILED
        assert (told.evidence.exit_code, told.evidence.signal, told.evidence.signal_sender) == (139, "SIGSEGV", "other")


@bounded
async def test_oom_of_the_main_process(grouped: World) -> None:
    async with grouped.driver() as driver:
        told = ending(await run_to_end(driver, grouped.sh(f"exec {TAKES_64_MIB}", LIMIT_BYTES)))
    assert told.kind is VerdictKind.OOM
    assert (told.evidence.signal, told.evidence.signal_sender, told.evidence.oom_kills) == ("SIGKILL", "kernel", 1)
    assert told.evidence.memory_peak_bytes is not None
    assert 20 * MIB < told.evidence.memory_peak_bytes <= LIMIT_BYTES


@bounded
async def test_a_shell_that_passes_on_its_childs_137_is_oom(grouped: World) -> None:
    async with grouped.driver() as driver:
        told = ending(await run_to_end(driver, grouped.sh(f"{TAKES_64_MIB}; exit $?", LIMIT_BYTES)))
    assert told.kind is VerdictKind.OOM
    assert told.evidence.child_oom is True


@bounded
async def test_137_long_after_a_childs_oom_is_not_oom(grouped: World) -> None:
    async with grouped.driver() as driver:
        told = ending(await run_to_end(driver, grouped.sh(f"{TAKES_64_MIB}; sleep 1.5; exit 137", LIMIT_BYTES)))
    assert told.kind is VerdictKind.FAILED
    assert (told.evidence.child_oom, told.evidence.oom_kills) == (True, 1)


@bounded
async def test_without_control_groups_each_process_is_bounded(world: World) -> None:
    """RLIMIT_DATA makes the allocation itself fail; with control groups the kernel kills."""
    script = f"exec {sys.executable} -S -c 'bytearray(300_000_000)'"
    async with world.driver() as driver:
        told = ending(await run_to_end(driver, world.sh(script, 64 * MIB)))
    bare = world.cgroups is None
    assert told.kind is (VerdictKind.FAILED if bare else VerdictKind.OOM)
    assert told.evidence.exit_code == (1 if bare else 137)


@bounded
async def test_a_limit_on_processes_holds(grouped: World) -> None:
    spec = grouped.sh("sleep 9 & sleep 9 & sleep 9 & sleep 9 & sleep 9 & wait")
    spec = replace(spec, limits=replace(spec.limits, pids=3, cpus=0.5))
    async with grouped.driver() as driver:
        handle = await driver.start(spec)
        told = ending(await wait_ended(driver, spec))
        assert told.kind is VerdictKind.FAILED
        assert b"fork" in (await output(driver, handle))[1]


# ---- refusals ----


@bounded
async def test_what_cannot_run_here_is_refused_and_nothing_is_made(world: World) -> None:
    fine = world.sh("exit 0")
    refused = (
        replace(fine, command=None),
        replace(fine, command=()),
        replace(fine, command=("a\0b",)),
        replace(fine, env={"A": "x\0y"}),
        replace(fine, env={"A=B": "x"}),
        replace(fine, mounts=(Mount(source="/etc", target="/elsewhere"),)),
        replace(fine, name="../../escape"),
        replace(fine, secrets={"../x": b""}),
    )
    async with world.driver() as driver:
        for spec in refused:
            assert not (await raised(NotStarted, driver.start(spec))).transient
        assert os.listdir(world.base / "attempts") == []


@bounded
async def test_a_missing_workspace_is_refused_and_stays_refused(world: World) -> None:
    spec = replace(world.sh("exit 0"), workspace=world.root / "nowhere")
    async with world.driver() as driver:
        for _ in range(2):
            assert "No such file" in str(await raised(NotStarted, driver.start(spec)))
        assert ending(await wait_ended(driver, spec)).kind is VerdictKind.START_ERROR


@bounded
async def test_secrets_without_a_tmpfs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavepool.drivers.process.slot._root_in_memory", lambda: None)
    world = World(tmp_path, tmp_path)
    spec = replace(world.sh("exit 0"), secrets={"TOKEN": b"x"})
    async with ProcessDriver(base_dir=world.base, cgroup_root=tmp_path) as driver:
        assert "tmpfs" in str(await raised(NotStarted, driver.start(spec)))
        assert ending(await run_to_end(driver, world.sh("exit 0"))).kind is VerdictKind.SUCCESS


# ---- stop ----


@bounded
async def test_a_task_that_ignores_sigterm_is_killed_after_the_grace(world: World) -> None:
    spec = world.sh("trap '' TERM; echo ready; while :; do sleep 1; done")
    async with world.driver() as driver:
        handle = await started(driver, spec)
        before = anyio.current_time()
        await driver.stop(handle, 0.3)
        assert anyio.current_time() - before >= 0.3
        told = ending(await wait_ended(driver, spec))
    assert told.kind is VerdictKind.FAILED
    assert (told.evidence.signal, told.evidence.signal_sender) == ("SIGKILL", "wavepool")


@bounded
async def test_a_task_that_heeds_sigterm_says_its_last_words(world: World) -> None:
    spec = world.sh("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    async with world.driver() as driver:
        handle = await started(driver, spec)
        await driver.stop(handle, PATIENCE_S)
        told = ending(await wait_ended(driver, spec))
        assert (told.evidence.exit_code, told.evidence.signal_sender) == (3, "task")
        assert (await output(driver, handle))[0] == b"ready\nbye\n"


@bounded
async def test_a_second_stop_may_be_shorter(world: World) -> None:
    spec = world.sh("trap '' TERM; echo ready; while :; do sleep 1; done")
    async with world.driver() as driver:
        handle = await started(driver, spec)
        async with anyio.create_task_group() as group:
            group.start_soon(driver.stop, handle, 1_000.0)
            await driver.stop(handle, 0.0)
        assert await phase_of(driver, spec) is Phase.EXITED


@bounded
async def test_one_that_was_only_created_never_starts_once_stopped(world: World) -> None:
    spec = world.spec(world.commands.counts("stopped", 0))
    async with world.driver() as driver:
        handle = created_only(world, spec)
        assert await phase_of(driver, spec) is Phase.CREATED
        await driver.stop(handle, 1)
        await raised(NotStarted, driver.start(spec))
        assert ending(await wait_ended(driver, spec)).kind is VerdictKind.START_ERROR
    assert world.executions(spec, "stopped") == 0


def created_only(world: World, spec: AttemptSpec) -> Handle:
    """What a start leaves that was cut off before it launched the supervisor."""
    groups = () if world.cgroups is None else tuple(map(str, world.cgroups.directories(spec.name)))
    record = Record.of(spec, secrets_dir=None, cgroups=groups)
    assert Records(world.base).create(record)
    return record.handle


# ---- leftovers ----


@bounded
async def test_daemons_do_not_survive_the_end_of_the_main_process(world: World) -> None:
    mark = world.workspace / "daemon"
    async with world.driver() as driver:
        told = ending(await run_to_end(driver, world.sh(DAEMON.format(mark=mark) + "; exit 5")))
    assert told.evidence.exit_code == 5
    assert not is_alive(int(mark.read_text()))


@bounded
async def test_a_killed_supervisor_is_lost_and_takes_everything_with_it(world: World) -> None:
    mark = world.workspace / "daemon"
    spec = world.sh(DAEMON.format(mark=mark) + "; echo ready; exec sleep 300")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await started(driver, spec)
        os.kill(supervisor_pid(world, spec), signal.SIGKILL)
        told = await ending_from(states, spec)
        assert told.phase is Phase.GONE
        assert ending(told).kind is VerdictKind.LOST
        assert "supervisor vanished" in ending(told).evidence.reason
        assert not is_alive(int(mark.read_text()))
        assert pids_below(world.workspace) == []
        assert await phase_of(driver, spec) is Phase.GONE, "it stays lost"


@bounded
async def test_a_supervisor_that_hangs_does_not_hold_up_removal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavepool.drivers.process.driver.STOP_DEADLINE_S", 0.3)
    async with world.driver() as driver:
        handle = await started(driver, world.sh("echo ready; exec sleep 300"))
        spec_name = handle.name
        mark = Records(world.base).mark(spec_name)
        assert mark is not None
        assert mark.supervisor is not None
        mark.supervisor.send(signal.SIGSTOP)
        assert await driver.remove(handle) == Removed(containers=(spec_name,))
        assert Records(world.base).read(spec_name) is None
        assert not mark.supervisor.is_alive()
        assert pids_below(world.workspace) == []


@bounded
async def test_a_record_of_an_earlier_boot_is_lost_and_not_started_again(world: World) -> None:
    spec = world.spec(world.commands.counts("rebooted", 0))
    record = replace(Record.of(spec, secrets_dir=None, cgroups=()), boot_id="an earlier one")
    async with world.driver() as driver:
        assert Records(world.base).create(record)
        assert await driver.start(spec) == record.handle
        told = ending(await wait_ended(driver, spec))
    assert told.kind is VerdictKind.LOST
    assert "restarted" in told.evidence.reason
    assert world.executions(spec, "rebooted") == 0


@bounded
async def test_another_process_with_the_supervisors_pid_is_not_trusted_and_not_touched(world: World) -> None:
    spec = world.spec(world.commands.counts("reused", 0))
    bystander = await anyio.open_process(["sleep", "300"])
    try:
        async with world.driver() as driver:
            created_only(world, spec)
            mark = f'{{"by": "supervisor", "pid": {bystander.pid}, "ticks": 1, "boot_id": "{boot_id()}", "at": 1.0}}'
            (Records(world.base).path(spec.name) / "started").write_text(mark)
            assert await phase_of(driver, spec) is Phase.GONE
            await driver.remove(Scope(owner=spec.owner))
        assert bystander.returncode is None
        assert is_alive(bystander.pid)
    finally:
        bystander.kill()
        await bystander.aclose()


# ---- at most once, whoever dies ----


@bounded
async def test_many_starts_at_once_run_once(world: World) -> None:
    spec = world.spec(world.commands.counts("racing", 0))
    handles: list[Handle] = []

    async def start(driver: ProcessDriver) -> None:
        handles.append(await driver.start(spec))

    async with world.driver() as one, world.driver() as other:
        async with anyio.create_task_group() as group:
            for driver in (one, other) * 4:
                group.start_soon(start, driver)
        assert len(set(handles)) == 1
        assert ending(await wait_ended(one, spec)).kind is VerdictKind.SUCCESS
    assert world.executions(spec, "racing") == 1


@bounded
async def test_a_start_that_was_cut_off_is_finished_by_the_next(world: World) -> None:
    spec = world.spec(world.commands.counts("cut-off", 0))
    async with world.driver() as driver:
        handle = created_only(world, spec)
        assert await driver.start(spec) == handle
        await wait_ended(driver, spec)
    assert world.executions(spec, "cut-off") == 1


ORCHESTRATOR = """
import os, pickle, signal, sys
import anyio
from wavepool.drivers.process import ProcessDriver

async def main():
    base, cgroup_root, secrets, spec = pickle.loads(sys.stdin.buffer.read())
    async with ProcessDriver(base_dir=base, cgroup_root=cgroup_root, secrets_dir=secrets) as driver:
        await driver.start(spec)
        os.kill(os.getpid(), signal.SIGKILL)

anyio.run(main)
"""


@bounded
async def test_the_exit_code_survives_the_death_of_the_orchestrator(world: World) -> None:
    go = world.workspace / "go"
    spec = world.sh(f"echo ran >> runs; echo ready; while [ ! -e {go} ]; do sleep 0.02; done; echo done; exit 7")
    stdin = pickle.dumps((world.base, world.cgroup_root, world.secrets, spec))
    died = await anyio.run_process([sys.executable, "-c", ORCHESTRATOR], input=stdin, check=False, stderr=None)
    assert died.returncode == -signal.SIGKILL
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        first = await anext(states)
        assert isinstance(first, Observation)
        assert first.phase is Phase.RUNNING
        go.touch()
        told = await ending_from(states, spec)
        assert ending(told).evidence.exit_code == 7
        handle = await driver.start(spec)
        assert handle == thawed(first.handle)
        assert await output(driver, handle) == (b"ready\ndone\n", b"")
    assert world.executions(spec, "runs") == 1


# ---- watching ----


@bounded
async def test_a_watch_sees_what_another_process_starts_and_removes(world: World) -> None:
    spec = world.sh("exec sleep 300")
    async with world.driver() as here, world.driver() as elsewhere, here.watch(scope_of(spec)) as states:
        assert isinstance(await anext(states), Synced)
        handle = await elsewhere.start(spec)
        told = await anext(states)
        assert isinstance(told, Observation)
        assert (told.phase, told.handle) == (Phase.RUNNING, handle)
        await elsewhere.remove(handle)
        assert ending(await ending_from(states, spec)).kind in (VerdictKind.FAILED, VerdictKind.LOST)


@bounded
async def test_an_error_of_the_reader_comes_out_as_it_is(world: World) -> None:
    async with world.driver() as driver:
        with pytest.raises(ZeroDivisionError):
            async with driver.watch(Scope(owner=world.owner)):
                _ = 1 / 0


@bounded
async def test_a_scope_of_one_network_touches_no_attempt(world: World) -> None:
    spec = world.sh("exec sleep 300")
    async with world.driver() as driver:
        await driver.start(spec)
        assert (await driver.remove(Scope(owner=world.owner, shared_network="cfn-network"))).containers == ()
        assert await phase_of(driver, spec) is Phase.RUNNING


# ---- logs ----


@bounded
async def test_a_flood_of_output_is_bounded_and_stalls_nothing(world: World) -> None:
    cap, tail, lines = 256 * 1024, 16 * 1024, 2_000_000
    async with world.driver(log_cap_bytes=cap, log_tail_bytes=tail) as driver:
        spec = world.sh(f"seq {lines}; echo over")
        handle = await driver.start(spec)
        assert ending(await wait_ended(driver, spec)).kind is VerdictKind.SUCCESS
        async with driver.logs(handle) as stream:
            chunks = [chunk async for chunk in stream]
    assert (world.base / "attempts" / spec.name / "output.log").stat().st_size <= cap + tail
    assert b"".join(chunk.data for chunk in chunks).startswith(b"1\n2\n3\n")
    assert [chunk.gap for chunk in chunks].count(True) == 1
    assert b"".join(chunk.data for chunk in chunks).endswith(b"%d\nover\n" % lines)


@bounded
async def test_a_follower_gets_output_as_it_is_written(world: World) -> None:
    go = world.workspace / "go"
    async with world.driver() as driver:
        handle = await driver.start(world.sh(f"echo one; while [ ! -e {go} ]; do sleep 0.02; done; echo two >&2"))
        async with driver.logs(handle) as chunks:
            assert await anext(chunks) == LogChunk(stream="stdout", data=b"one\n")
            go.touch()
            assert [chunk async for chunk in chunks] == [LogChunk(stream="stderr", data=b"two\n")]


@bounded
async def test_a_foreign_handle_leads_nowhere(world: World) -> None:
    async with world.driver() as driver:
        handle = await driver.start(world.sh("exec sleep 300"))
        foreign = replace(handle, driver="docker")
        await raised(NoSuchAttempt, output(driver, foreign))
        await driver.stop(foreign, 0)
        assert (await driver.remove(foreign)).containers == ()
        assert set(await driver.usage([foreign, handle])) == {handle}


# ---- what reaches the task ----


@bounded
async def test_our_own_environment_stays_with_us(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    async with world.driver() as driver:
        handle = await driver.start(spec := world.sh("env"))
        await wait_ended(driver, spec)
        names = {line.partition(b"=")[0].decode() for line in (await output(driver, handle))[0].splitlines()}
    assert "ANTHROPIC_API_KEY" not in names
    assert {"PATH", "HOME", "TASK_ID", "TASK_PROMPT", "TASK_PROMPT_FILE", "WAVEPOOL_WORKSPACE"} <= names


OF_LIBC_ALONE = 1 << 31 | 1 << 32
"""Signals 32 and 33, which the C library keeps for itself and lets nobody set: some CI starts us with them ignored."""


@bounded
async def test_a_task_works_in_its_workspace_with_nothing_on_stdin_and_default_signals(world: World) -> None:
    async with world.driver() as driver:
        script = "pwd; cat; umask; grep -E 'SigIgn|SigBlk' /proc/self/status; ls /proc/self/fd"
        handle = await driver.start(spec := world.sh(script))
        await wait_ended(driver, spec)
        lines = (await output(driver, handle))[0].decode().split()
    assert lines[:2] == [str(world.workspace), "0022"]
    assert lines[2:4] == ["SigBlk:", "0" * 16]
    assert lines[4] == "SigIgn:"
    assert int(lines[5], 16) & ~OF_LIBC_ALONE == 0
    assert lines[6:] == ["0", "1", "2", "3"], "3 is the directory that ls itself has open"


@bounded
async def test_secrets_lie_in_memory_until_removal(world: World) -> None:
    spec = replace(world.sh('cat "$WAVEPOOL_SECRETS_DIR/TOKEN"; exec sleep 300'), secrets={"TOKEN": b"s3cret\n"})
    async with world.driver() as driver:
        handle = await started(driver, spec, b"s3cret\n")
        assert (world.secrets / spec.name / "TOKEN").stat().st_mode & 0o777 == 0o400
        directory = world.base / "attempts" / spec.name
        assert [file.name for file in directory.iterdir() if b"s3cret" in file.read_bytes()] == ["output.log"]
        await driver.remove(handle)
        assert not world.secrets.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@bounded
async def test_root_becomes_the_user_that_is_asked_for(world: World) -> None:
    script = 'id -u; id -g; cat "$WAVEPOOL_SECRETS_DIR/TOKEN"'
    for place in (world.root, *world.root.parents):
        if place.stat().st_mode & 0o005 != 0o005:  # pytest's own directories let nobody else in
            place.chmod(0o755)
    spec = replace(world.sh(script), user="65534:65533", secrets={"TOKEN": b"s3cret"})
    async with world.driver() as driver:
        handle = await driver.start(spec)
        assert ending(await wait_ended(driver, spec)).kind is VerdictKind.SUCCESS
        assert (await output(driver, handle))[0] == b"65534\n65533\ns3cret"


@bounded
async def test_usage_counts_the_whole_tree(world: World) -> None:
    child = "import time; held = bytes([1]) * 30_000_000; print('ready', flush=True); time.sleep(300)"
    spec = world.sh(f'{sys.executable} -S -c "{child}"; exit 1', 128 * MIB)
    async with world.driver() as driver:
        handle = await started(driver, spec)
        reading = (await driver.usage([handle]))[handle]
    assert 30_000_000 < reading.memory_bytes < 128 * MIB
    assert reading.pids >= 2
    assert reading.cpu_s > 0


@bounded
async def test_probe_says_what_is_enforced(world: World) -> None:
    async with world.driver() as driver:
        facts = await driver.probe()
    assert facts.execution_mode == "subprocess"
    assert [node.name for node in facts.nodes] == ["local"]
    assert facts.enforces_memory is (world.cgroups is not None)
    assert facts.details["cgroup_version"] == ("none" if world.cgroups is None else world.cgroups.version)
