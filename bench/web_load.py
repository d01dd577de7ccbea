"""A real run on Docker with its dashboard, watched by many and read by some, and how late its engine is meanwhile.

The run is `wavepool run --dashboard` in a process of its own, so its engine shares the interpreter with the web server:
no other way of showing a run costs it more. In it are tasks that print steadily, short ones that end all the time, and
one that writes a log of `log_bytes` when it is told to. Three windows, each read by the loop meter:

- quiet: nobody looks on;
- watched: `clients` WebSockets on the overview and the run, a part of which never read;
- read: as before, and the big log is written, followed by two (one of whom reads nothing), archived, downloaded whole
  and searched to its end.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, quote, urlsplit

from bench import loop_meter
from bench.ground import IMAGE
from bench.websocket import BINARY, TEXT, Address, Frames, connected
from wavepool import labels
from wavepool.units import MIB

DEADLINE_S = 300.0
STEADY = 12
SHORT = 400
BIG = "writes a big log"
NEEDLE = "the very last line"
RECEIVE_BYTES = 1 << 20
ROOT = Path(__file__).resolve().parent.parent

_LINK = re.compile(r"http://[^\s\"]+/\?token=[\w~.-]+")
_STEADY = 'n=0; while [ ! -e stop ]; do n=$((n+1)); echo "line $n of what I do"; sleep 0.2; done'
_BIG = (
    "until [ -e write ]; do sleep 0.1; done; yes 'a line of a log, as long as lines of logs usually are: about a "
    f"hundred bytes, and some of it says 42' | head -c %d; echo; echo {NEEDLE}; touch written; "
    "until [ -e end ]; do sleep 0.1; done"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one load has shown.

    Attributes:
        quiet_s, watched_s, read_s: delays of the engine's loop in the three windows, in seconds.
        web_s: delays of the web server's loop while all of it went on.
        viewers: what `bench.web_clients` counted.
        log_bytes: how long the log was; `followed_bytes` and `gaps` what who followed it was sent.
        written_s, downloaded_s, searched_s: how long these took; `downloaded_bytes` what came.
        found: how often the search found the words of the log's last line.
    """

    quiet_s: list[float]
    watched_s: list[float]
    read_s: list[float]
    web_s: list[float]
    viewers: Mapping[str, Any]
    log_bytes: int
    followed_bytes: int
    gaps: int
    written_s: float
    downloaded_s: float
    downloaded_bytes: int
    searched_s: float
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much of it. `window_s` is the length of the first two windows; the third is as long as the log takes."""

    clients: int
    silent: int
    log_bytes: int
    window_s: float


class MeteredRun:
    """`wavepool run --dashboard` under the loop meter, in a directory of its own. A context manager: leaving ends it.

    Attributes:
        address, token: of its page.
        run_id: the run's.
        delays: the file that the meter writes.
    """

    def __init__(self, root: Path, log_bytes: int) -> None:
        self.root = root
        self.delays = root / "delays"
        self._workspace = root / "workspace"
        self._log_bytes = log_bytes
        self._process: subprocess.Popen[str] | None = None
        self._said = (root / "stderr", root / "stdout")

    def __enter__(self) -> MeteredRun:
        self._workspace.mkdir()
        plan = self.root / "plan.json"
        plan.write_text(json.dumps(_plan(self._log_bytes)))
        with self._said[0].open("w") as err, self._said[1].open("w") as out:
            self._process = subprocess.Popen(
                self._command(plan), cwd=ROOT, env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        try:
            link = urlsplit(self._printed(_LINK))
            self.address: Address = (link.hostname or "", link.port or 80)
            (self.token,) = parse_qs(link.query)["token"]
            self.run_id = self._only_run()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def origin(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"

    def touch(self, name: str) -> None:
        """A file that tasks wait for."""
        (self._workspace / name).touch()

    def wait_for(self, name: str) -> None:
        """Until a task has made that file."""
        until(lambda: (self._workspace / name).exists(), f"{name} in the workspace")

    def get(self, path: str) -> Any:
        """The JSON at a path of the interface."""
        return json.loads(b"".join(self.stream(path)))

    def stream(self, path: str) -> Iterator[bytes]:
        """The body of an answer, piece by piece; raises RuntimeError where it is none of success."""
        connection = http.client.HTTPConnection(*self.address, timeout=DEADLINE_S)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status}: {answer.read(500)!r}")
            while piece := answer.read1(RECEIVE_BYTES):
                yield piece
        finally:
            connection.close()

    def _command(self, plan: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "bench.loop_meter", str(self.delays), "run", str(plan), "--dashboard", "--json"),
            *("--driver", "docker", "--base-image", IMAGE, "--network", f"cfn-load-{self.root.name}"),
            *("--workspace", str(self._workspace), "--state-dir", str(self.root / "state")),
            *("--budget", "1g", "--schedule", "rolling"),
        ]

    def _environment(self) -> dict[str, str]:
        told = {"HTTP_PORT": "0", "WEBSOCKET_PORT": "0", "WAVEPOOL_LOG_LIMIT": str(self._log_bytes + 64 * MIB)}
        return {**os.environ, **told, "HOME": str(self.root)}

    def _printed(self, wanted: re.Pattern[str]) -> str:
        def found() -> re.Match[str] | None:
            return next(filter(None, (wanted.search(path.read_text()) for path in self._said)), None)

        until(lambda: found() is not None or self._ended(), f"{wanted.pattern} in what the run prints")
        match = found()
        if match is None:
            raise RuntimeError(f"the run has ended: {self._said[0].read_text()[-2000:]}")
        return match[0]

    def _only_run(self) -> str:
        runs = self.root / "state" / "runs"
        until(lambda: runs.is_dir() and any(runs.iterdir()), "the run's directory")
        (found,) = runs.iterdir()
        return found.name

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _end(self) -> None:
        """Stop it as two Ctrl-C do, so that it removes its containers; then whatever it takes."""
        process = self._process
        if process is None:
            return
        for _ in range(2):
            if process.poll() is None:
                process.send_signal(2)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(5)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Follower(threading.Thread):
    """Follows one log over ``/ws/log``. With `silent` it never reads.

    Attributes:
        received_bytes: of the log.
        gaps: how often it was told that something was left out for it.
    """

    def __init__(self, run: MeteredRun, key: str, *, silent: bool = False) -> None:
        super().__init__(daemon=True)
        self.received_bytes = 0
        self.gaps = 0
        self._silent = silent
        path = f"/ws/log?run={quote(run.run_id)}&task={quote(key)}&attempt=1"
        self._socket = connected(run.address, path, run.token, upgrade=True, timeout_s=DEADLINE_S)

    def run(self) -> None:
        """Read until `close`, or the server's end."""
        if self._silent:
            return
        frames = Frames()
        with suppress(OSError):
            while data := self._socket.recv(RECEIVE_BYTES):
                for opcode, payload in frames.take(data):
                    self.received_bytes += len(payload) if opcode == BINARY else 0
                    self.gaps += opcode == TEXT and b'"gap"' in payload

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.is_alive():
            self.join(DEADLINE_S)
        self._socket.close()


def measure_load(root: Path, load: Load) -> Reading:
    """All three windows, in an empty directory; takes about three times `window_s` and a minute for each GB of log."""
    with MeteredRun(root, load.log_bytes) as run:
        key = labels.task_key(BIG)
        until(lambda: running_tasks(run) >= STEADY, f"{STEADY} running tasks")
        quiet = _window(load.window_s)
        with _viewers(run, load) as viewers:
            watched = _window(load.window_s)
            began_s = time.monotonic()
            told = _log_is_read(run, key)
            read = (began_s, time.monotonic())
        delays = [
            loop_meter.delays_s(run.delays, since_s=since_s, until_s=until_s)
            for since_s, until_s in (quiet, watched, read)
        ]
        others = loop_meter.threads(run.delays) - {loop_meter.MAIN}
        web = [each for name in others for each in loop_meter.delays_s(run.delays, thread=name, since_s=watched[0])]
    return Reading(quiet_s=delays[0], watched_s=delays[1], read_s=delays[2], web_s=web, viewers=viewers, **told)


def _log_is_read(run: MeteredRun, key: str) -> dict[str, Any]:
    followers = [Follower(run, key), Follower(run, key, silent=True)]
    try:
        for each in followers:
            each.start()
        began_s = time.monotonic()
        run.touch("write")
        run.wait_for("written")
        written_s = time.monotonic() - began_s
        run.touch("end")
        task = f"/api/runs/{quote(run.run_id)}/tasks/{quote(key)}"
        until(lambda: run.get(task)["state"] == "success", "the end of the task with the big log")
    finally:
        for each in followers:
            each.close()
    began_s = time.monotonic()
    downloaded_bytes = sum(map(len, run.stream(f"{task}/log/download?attempt=1")))
    downloaded_s = time.monotonic() - began_s
    began_s = time.monotonic()
    found = run.get(f"{task}/log/search?attempt=1&q={quote(NEEDLE)}")
    return {
        "log_bytes": downloaded_bytes,
        "followed_bytes": followers[0].received_bytes,
        "gaps": followers[0].gaps,
        "written_s": written_s,
        "downloaded_s": downloaded_s,
        "downloaded_bytes": downloaded_bytes,
        "searched_s": time.monotonic() - began_s,
        "found": len(found["matches"]),
    }


@contextmanager
def _viewers(run: MeteredRun, load: Load) -> Iterator[dict[str, Any]]:
    """All of them connected inside the block; filled with what they counted when it is left."""
    command = [
        *(sys.executable, "-m", "bench.web_clients", run.origin, str(load.clients), f"run:{run.run_id}"),
        *("--silent", str(load.silent)),
    ]
    told: dict[str, Any] = {}
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            _line_to(process.stdin, run.token)
            told.update(_line_of(process))
            yield told
            told.update(_line_of(process, ended=True))
        finally:
            process.kill()


def _line_to(pipe: IO[str] | None, text: str) -> None:
    assert pipe is not None
    pipe.write(f"{text}\n")
    pipe.flush()


def _line_of(process: subprocess.Popen[str], *, ended: bool = False) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    if ended:
        process.stdin.close()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the viewers have ended with {process.wait()}")
    found: dict[str, Any] = json.loads(line)
    return found


def running_tasks(run: MeteredRun) -> int:
    """How many attempts are under way now."""
    return int(run.get(f"/api/runs/{quote(run.run_id)}")["run"]["tasks"]["running"])


def _window(length_s: float) -> tuple[float, float]:
    began_s = time.monotonic()
    time.sleep(length_s)
    return began_s, time.monotonic()


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it. Raises RuntimeError after `DEADLINE_S`."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end_s:
            raise RuntimeError(f"not within {DEADLINE_S:.0f} s: {what}")
        time.sleep(0.25)


def _plan(log_bytes: int) -> dict[str, Any]:
    def batch(name: str, command: str) -> dict[str, Any]:
        return {"batch_id": name, "memory": "32m", "files": [], "command": f"cd /workspace; {command}"}

    steady = [batch(f"prints steadily {n}", _STEADY) for n in range(STEADY)]
    short = [batch(f"ends soon {n}", "echo begun; sleep 1; echo done") for n in range(SHORT)]
    return {"waves": [{"wave_number": 1, "batches": [batch(BIG, _BIG % log_bytes), *steady, *short]}]}
