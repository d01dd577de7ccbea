"""The installed `wavepool` command in a world of its own: home, state, workspace, network name, and no way to leak."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import anyio

from wavepool import labels
from wavepool.journal.sqlite import SqliteJournal

TEST_IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
COMMAND = Path(sys.executable).with_name("wavepool")
DEADLINE_S = 180.0
"""For one command, and for anything that a scenario waits for; far beyond what any of them takes."""

ATTEMPTS_LOOKED_FOR = 5
POLL_S = 0.02


def eventually(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return as soon as `condition` holds; AssertionError after the deadline."""
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(POLL_S)


def batch(batch_id: str, command: str | list[str] | None = "exit 0", **fields: object) -> dict[str, object]:
    """One batch of 16 MiB; `command` None leaves it to the image."""
    made: dict[str, object] = {"batch_id": batch_id, "memory": "16m", "files": [], **fields}
    return made if command is None else {**made, "command": command}


def wave(number: int, *batches: Mapping[str, object], **fields: object) -> dict[str, object]:
    return {"wave_number": number, "batches": list(batches), **fields}


def plan_of(*waves: Mapping[str, object]) -> dict[str, object]:
    return {"waves": list(waves)}


def docker(*arguments: str, check: bool = True) -> str:
    """Output of the docker command, past everything of ours."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One command that has ended."""

    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """Stdout as the one JSON object that it must be."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Stdout as JSON lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def entries(self) -> dict[str, dict[str, Any]]:
        """batch id -> its entry in the result."""
        return {entry["batch_id"]: entry for wave in self.result["waves"] for entry in wave["containers"]}

    def verdicts(self) -> dict[str, str | None]:
        return {name: entry["verdict"] for name, entry in self.entries().items()}


class Running:
    """One command under way. Both its streams are read as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._changed = threading.Condition()
        self._streams: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=("stdout", process.stdout), daemon=True),
            threading.Thread(target=self._read, args=("stderr", process.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            while data := os.read(stream.fileno(), 65536):
                with self._changed:
                    self._streams[name] += data
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, kind: str, *, count: int = 1) -> list[dict[str, Any]]:
        """The first `count` facts of this kind on the `--json` stream."""

        def found() -> list[dict[str, Any]]:
            whole = bytes(self._streams["stdout"]).rpartition(b"\n")[0]
            facts = [json.loads(line) for line in whole.splitlines()]
            return [fact for fact in facts if fact.get("kind") == kind][:count]

        self._await(lambda: len(found()) >= count, f"{count} x {kind} on stdout")
        return found()

    def wait_for_facts(self, count: int) -> bool:
        """Return when the `--json` stream has had so many lines; False where the command ended before."""

        def seen() -> bool:
            return bytes(self._streams["stdout"]).count(b"\n") >= count

        try:
            self._await(seen, f"{count} lines on stdout")
        except AssertionError:
            if self.process.poll() is None:
                raise
            return False
        return True

    def printed(self) -> bytes:
        """All that has come so far, of both streams."""
        with self._changed:
            return bytes(self._streams["stdout"]) + bytes(self._streams["stderr"])

    def wait_for_line(self, part: str) -> None:
        """Return when stderr has `part`."""
        self._await(lambda: part.encode() in self._streams["stderr"], f"{part!r} on stderr")

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + DEADLINE_S
        with self._changed:
            while not condition():
                left_s = end_s - time.monotonic()
                ended = self.process.poll() is not None and not any(reader.is_alive() for reader in self._readers)
                if ended or left_s <= 0:
                    raise AssertionError(f"never came: {what}; stderr: {self._streams['stderr'].decode()}")
                self._changed.wait(min(left_s, 0.5))

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """A signal to the command alone, as from `kill`; a terminal would send it to its children too."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def finish(self, deadline_s: float = DEADLINE_S) -> Finished:
        """Wait for its end."""
        self.process.wait(deadline_s)
        for reader in self._readers:
            reader.join(deadline_s)
        return Finished(
            exit_code=self.process.returncode,
            stdout=bytes(self._streams["stdout"]),
            stderr=self._streams["stderr"].decode(),
        )


@dataclass
class World:
    """A place to run `wavepool` in. Every command gets its own `--state-dir`, `--workspace` and so on unless told."""

    root: Path
    driver: str
    network: str = field(default_factory=lambda: f"cfn-e2e-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.home = self.root / "home"
        self.state = self.root / "state"
        self.workspace = self.root / "workspace"
        for directory in (self.home, self.workspace):
            directory.mkdir(parents=True)
        self._plans = 0
        self._running: list[Running] = []

    # -- running it --

    def plan(self, document: Mapping[str, object] | bytes) -> Path:
        """A file that holds the plan."""
        self._plans += 1
        path = self.root / f"plan-{self._plans}.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return path

    def run(self, plan: Mapping[str, object] | Path | str, *options: str, **how: Any) -> Finished:
        """`wavepool run`, to its end. Options override the world's own; see `start` for the rest."""
        return self.start(plan, *options, **how).finish()

    def start(self, plan: Mapping[str, object] | Path | str, *options: str, **how: Any) -> Running:
        """`wavepool run`, under way. `env` adds variables, `stdin` is its standard input."""
        path = self.plan(plan) if isinstance(plan, Mapping) else plan
        return self.command("run", str(path), *self.options(), *options, **how)

    def options(self) -> Sequence[str]:
        """What says where things are. The budget is given, as others may use this machine's memory at the same time."""
        return (
            *("--driver", self.driver, "--base-image", TEST_IMAGE, "--network", self.network),
            *("--workspace", str(self.workspace), "--state-dir", str(self.state), "--budget", "2g"),
        )

    def command(
        self, *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None, fds: Sequence[int] = ()
    ) -> Running:
        """The installed command with exactly these arguments."""
        process = subprocess.Popen(
            [str(COMMAND), *arguments],
            cwd=self.root,
            env={**self.environment(), **(env or {})},
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=fds,
        )
        if stdin is not None:
            assert process.stdin is not None
            with process.stdin:
                process.stdin.write(stdin)
        running = Running(process)
        self._running.append(running)
        return running

    def environment(self) -> dict[str, str]:
        """All that the command inherits."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH", "DOCKER_HOST") if name in os.environ}
        return {**kept, "HOME": str(self.home), "HTTP_PORT": "0", "WEBSOCKET_PORT": "0"}  # many serve side by side

    def journaled(self, run_id: str) -> int:
        """How many facts the journal of a run holds."""
        path = self.state / "runs" / run_id / "journal.db"
        if not path.exists():
            return 0

        async def count() -> int:
            async with SqliteJournal(path, owner=self.owner(), run_id=run_id) as journal:
                return sum(1 for _ in journal.replay())

        return anyio.run(count)

    # -- what tasks left in the workspace --

    def marks(self, name: str) -> list[str]:
        """Lines of a file in the workspace; none where it is missing."""
        path = self.workspace / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_file(self, name: str) -> None:
        def there() -> bool:
            found = (self.workspace / name).exists()
            failed = [run.finish() for run in self._running if run.process.poll() not in (None, 0, 130, -9)]
            assert found or not failed, f"no {name}, and a command failed: {failed[-1].stderr}"
            return found

        eventually(there, f"{name} in the workspace")

    def touch(self, name: str) -> None:
        (self.workspace / name).touch()

    # -- what is left --

    def owner(self) -> str:
        return (self.state / "owner").read_text().strip() if (self.state / "owner").exists() else ""

    def run_dirs(self) -> list[Path]:
        runs = self.state / "runs"
        return sorted(runs.iterdir()) if runs.exists() else []

    def log(self, entry: Mapping[str, Any]) -> Path:
        """The archived output of one entry of a result."""
        found = [run / entry["log"] for run in self.run_dirs() if (run / entry["log"]).exists()]
        assert len(found) == 1
        return found[0]

    def containers(self) -> list[str]:
        """Ids of all containers that carry our owner's label."""
        return docker("ps", "-aq", "--no-trunc", "--filter", f"label={labels.OWNER}={self.owner()}").split()

    def networks(self) -> list[str]:
        """Names of all networks that carry our owner's label."""
        return docker(
            "network", "ls", "--format", "{{.Name}}", "--filter", f"label={labels.OWNER}={self.owner()}"
        ).split()

    def processes(self) -> list[int]:
        """Pids of tasks and supervisors of ours: who was started for this world says so in its variables or words."""
        return [pid for pid in _pids() if self._names_us(pid)]

    def _names_us(self, pid: int) -> bool:
        if any(pid == running.process.pid for running in self._running):
            return False
        try:
            words = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:  # it has ended
            return False
        return str(self.root).encode() in words

    def left_behind(self) -> list[str]:
        """Everything of this world's runs that still exists outside its state directory."""
        found = [f"process {pid}" for pid in self.processes()]
        found += [f"slot {path}" for run in self.run_dirs() for path in (run / "slots").glob("*")]
        found += [f"record {path}" for path in (self.state / "processes" / "attempts").glob("*")]
        names = set(self._names())
        found += [f"cgroup {path}" for path in _cgroups() if path.name in names]
        found += [f"secret {path}" for path in Path("/dev/shm").glob("wavepool-*/*") if path.name in names]
        if self.driver != "process" and self.owner():
            found += [f"container {name}" for name in self.containers()]
            labelled = ("--filter", f"label={labels.OWNER}={self.owner()}")
            found += [f"image {name}" for name in docker("image", "ls", "-q", *labelled).split()]
            existing = docker("network", "ls", "--format", "{{.Name}}").split()
            ours = {*self.networks(), *(name for name in existing if name == self.network)}
            found += [f"network {name}" for name in ours if not _is_stuck(name)]
        return found

    def _names(self) -> Iterator[str]:
        """The derived names of all attempts that any plan of this world can have had."""
        for path in self.root.glob("plan-*.json"):
            try:
                waves = json.loads(path.read_bytes())["waves"]
                tasks = [(wave["wave_number"], each["batch_id"]) for wave in waves for each in wave["batches"]]
            except (ValueError, KeyError, TypeError):
                continue
            for number, task_id in tasks:
                for run in self.run_dirs():
                    for attempt in range(1, ATTEMPTS_LOOKED_FOR + 1):
                        yield labels.container_name(
                            owner=self.owner(), run_id=run.name, task_id=task_id, wave=number, attempt=attempt
                        )

    def close(self) -> None:
        """End what a failed test left, so that one failure is one failure."""
        for running in self._running:
            if running.process.poll() is None:
                running.kill()
        for pid in self.processes():
            _send_kill(pid)
        if self.driver != "process" and self.owner():
            with contextlib.suppress(subprocess.TimeoutExpired):  # an engine that is stuck: what failed is to be told
                for name in self.containers():
                    docker("rm", "-f", "-v", name, check=False)
                for name in self.networks():
                    docker("network", "rm", name, check=False)


def _is_stuck(network: str) -> bool:
    """Whether the engine itself cannot remove it: with many ends at once it miscounts endpoints now and then.

    Nothing is on it, yet it "has active endpoints" until the daemon is restarted: moby/moby#42119, seen on 20.10.
    """
    if docker("network", "inspect", "--format", "{{len .Containers}}", network, check=False) != "0":
        return False
    words = ["docker", "network", "rm", network]
    done = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    # Had it worked, then it was left behind, and is gone only now.
    return done.returncode != 0 and "has active endpoints" in done.stderr


def _cgroups() -> Iterator[Path]:
    """All control groups below one of the process driver's. Others come and go meanwhile: os.walk passes over them."""
    for directory, below, _ in os.walk("/sys/fs/cgroup"):
        if os.path.basename(directory) == "wavepool":
            yield from (Path(directory, name) for name in below)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _send_kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def world_in(root: Path, driver: str) -> Iterator[World]:
    """A world; leaving it proves that nothing of it is left, wherever the scenario itself went well."""
    made = World(root, driver)
    try:
        yield made
        assert made.left_behind() == []
    finally:
        made.close()
