"""One task from its fork to its exit record."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the half without enum
import marshal
import os
import select
import time

from .kernel import children_of, number_in, read_text, signal_quietly, write_control
from .launcher import report
from .log import STDERR, STDOUT, Log
from .oom import OomCounter
from .task import become_task, exec_code

READ_BYTES = 64 * 1024
KILL_PATIENCE_S = 10.0
"""A process that SIGKILL does not end in this time hangs in the kernel; the record says that it is left."""
DEFAULT_GRACE_S = 10.0


class Supervisor:
    """Runs one task from fork to exit record."""

    def __init__(self, directory: str, order: dict, started_at: float) -> None:  # type: ignore[type-arg]  # Any: typing is slow to import
        self._directory, self._order, self._started_at = directory, order, started_at
        self._poller = select.poll()
        self._streams: dict[int, int] = {}
        self._main_pid = 0
        self._status: int | None = None
        self._failure: tuple[str, int, str] | None = None
        self._sent: list[str] = []
        self._stop_requested_at: float | None = None
        self._kill_at: float | None = None
        self._cpu_s = self._peak_bytes = 0.0
        self._finished_at = started_at
        self._finished = 0.0
        self._leftovers = 0
        self._told = -1

    def run(self) -> dict[str, object]:
        """From start to end; returns the exit record."""
        self._wake, wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        self._log = Log(f"{self._directory}/output.log", self._order["log_cap_bytes"], self._order["log_tail_bytes"])
        self._oom = OomCounter(self._order["oom"], self._order["oom_event_control"])
        self._poller.register(self._wake, select.POLLIN)
        if self._oom.fd >= 0:
            self._poller.register(self._oom.fd, self._oom.events)
        commands = self._order["commands"]
        for number, command in enumerate(commands, 1):
            self._run_one(command)
            ended_well = self._status == 0 and self._failure is None
            if not ended_well or self._stop_requested_at is not None or number == len(commands):
                break
        self._close_log(number, len(commands))
        return self._record()

    def _run_one(self, command: list[str]) -> None:
        """From its fork until nothing of it is left."""
        self._status = None
        self._fork(command)
        while self._status is None:
            self._turn()
        self._kill_the_rest()
        self._drain()

    def _close_log(self, number: int, count: int) -> None:
        """The last line of a task with several commands says which one it did not get beyond."""
        if count > 1 and self._stop_requested_at is not None:
            self._log.add(STDERR, f"wavepool: command {number} of {count} was stopped\n".encode())
        elif count > 1 and (self._status != 0 or self._failure is not None):
            code = self._exit_code()
            self._log.add(STDERR, f"wavepool: command {number} of {count} failed with exit code {code}\n".encode())
        self._log.close()

    def _exit_code(self) -> int:
        if self._failure is not None:
            return exec_code(self._failure[1])
        status = self._status or 0
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def failed(self, text: str) -> dict[str, object]:
        """The record of a failure of ours: the task is lost if it may have begun, else it never started."""
        began = self._main_pid > 0
        if began:
            self._kill_the_rest()
        times = {"started_at": self._started_at, "finished_at": time.time()}
        return {"version": 1, **times, "lost" if began else "setup_error": text}

    def _fork(self, command: list[str]) -> None:
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        (out, out_end), (err, err_end), (self._told, told_end) = pipes
        own_pid = os.getpid()
        self._main_pid = os.fork()
        if self._main_pid == 0:
            become_task(self._order, command, own_pid, out_end, err_end, told_end)
        for end in (out_end, err_end, told_end):
            os.close(end)
        self._streams = {out: STDOUT, err: STDERR}
        for fd in (out, err, self._told):
            os.set_blocking(fd, False)
            self._poller.register(fd, select.POLLIN)

    def _turn(self) -> None:
        """Wait for something to happen, and see to it."""
        for fd, _ in self._poller.poll(self._timeout_ms()):
            if fd in self._streams:
                self._pump(fd)
            elif fd == self._told:
                self._hear_of_exec()
            elif fd == self._oom.fd:
                self._oom.notice()
            elif fd == self._wake:
                self._heed(os.read(fd, 256))
        if self._oom.wait_s() is not None:
            self._oom.read()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._kill_at = time.monotonic() + 1.0
            self._sent += [] if "SIGKILL" in self._sent else ["SIGKILL"]
            self._kill_all()

    def _timeout_ms(self) -> float | None:
        waits = [self._oom.wait_s(), None if self._kill_at is None else self._kill_at - time.monotonic()]
        return min((max(0.0, wait) * 1000 for wait in waits if wait is not None), default=None)

    def _pump(self, fd: int) -> bool:
        """Move what is there; True if there may be more."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._log.add(self._streams[fd], data)
        else:
            self._drop(fd)
        return bool(data)

    def _drop(self, fd: int) -> None:
        self._poller.unregister(fd)
        del self._streams[fd]
        os.close(fd)

    def _hear_of_exec(self) -> None:
        """The pipe closes when the program has been executed; else it carries what went wrong."""
        said = os.read(self._told, 65536)
        self._poller.unregister(self._told)
        os.close(self._told)
        self._told = -1
        if said:
            self._failure = marshal.loads(said)
        else:
            report("running")

    def _heed(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers:
            self._begin_stop()
        if signal.SIGCHLD in numbers:
            self._reap()

    def _begin_stop(self) -> None:
        kill_at = time.monotonic() + self._shortest_grace_s()
        self._kill_at = kill_at if self._kill_at is None else min(kill_at, self._kill_at)
        if self._stop_requested_at is None:
            self._stop_requested_at = time.time()
            self._sent.append("SIGTERM")
            try:
                os.killpg(self._main_pid, signal.SIGTERM)
            except OSError:  # it has no group yet: it is between fork and setsid
                signal_quietly(self._main_pid, signal.SIGTERM)

    def _shortest_grace_s(self) -> float:
        asked = [name for name in os.listdir(self._directory) if name.startswith("stop.")]
        try:
            return min(float(read_text(f"{self._directory}/{name}") or DEFAULT_GRACE_S) for name in asked)
        except ValueError:  # nobody of ours asked, or what it says is no number
            return DEFAULT_GRACE_S

    def _reap(self) -> bool:
        """Collect every child that has ended; True while there are more."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._peak_bytes = max(self._peak_bytes, used.ru_maxrss * 1024.0)
            if pid == self._main_pid and self._status is None:
                self._finished_at, self._finished = time.time(), time.monotonic()
                self._status = status
                self._cpu_s = used.ru_utime + used.ru_stime
                self._oom.read()

    def _kill_all(self) -> int:
        """SIGKILL to all that is in the cgroup and to our children; how many there were."""
        found = set(children_of(os.getpid()))
        for directory in self._order["cgroup_dirs"][:1]:
            for place, _, _ in os.walk(directory):
                found.update(int(pid) for pid in (read_text(f"{place}/cgroup.procs") or "").split())
        if found:
            for path, value in self._order["kill_writes"]:
                try:
                    write_control(path, value)
                except OSError:
                    continue
        # The main process first: one that loses a child, and may not fork another, might end by its own will.
        for pid in sorted(found - {0, os.getpid()}, key=lambda pid: pid != self._main_pid):
            signal_quietly(pid, signal.SIGKILL)
        return len(found)

    def _kill_the_rest(self) -> None:
        deadline = time.monotonic() + KILL_PATIENCE_S
        bounds = {path: read_text(path) for path, value in self._order["kill_writes"] if value == "0"}
        left = self._kill_all()
        self._leftovers += left
        while (self._reap() or left) and time.monotonic() < deadline:
            left = self._kill_all()
            if left:
                select.select([self._wake], [], [], 0.005)
                try:
                    self._note_stop(os.read(self._wake, 256))
                except BlockingIOError:
                    continue
        for path, bound in bounds.items():  # what kept the group from growing must not keep the next command from it
            try:
                write_control(path, (bound or "max").strip())
            except OSError:
                continue

    def _note_stop(self, numbers: bytes) -> None:
        """Asked to stop while nothing but leftovers ran: then nothing more is started."""
        if signal.SIGTERM in numbers and self._stop_requested_at is None:
            self._stop_requested_at = time.time()

    def _drain(self) -> None:
        for fd in list(self._streams):
            while fd in self._streams and self._pump(fd):
                pass
            if fd in self._streams:  # something that SIGKILL does not end holds it
                self._drop(fd)
        if self._told >= 0:
            try:
                said = os.read(self._told, 65536)
                self._failure = marshal.loads(said) if said else None
            except OSError:
                pass
            self._poller.unregister(self._told)
            os.close(self._told)
            self._told = -1

    def _record(self) -> dict[str, object]:
        stage, number, text = self._failure or ("", 0, "")
        peak, cpu = self._order["peak"], self._order["cpu"]
        return {
            "version": 1,
            "status": None if self._failure else self._status,
            "exec_error": {"exit_code": exec_code(number), "text": text} if stage == "exec" else None,
            "setup_error": text if stage == "setup" else None,
            "started_at": self._started_at,
            "finished_at": self._finished_at,
            "stop_requested_at": self._stop_requested_at,
            "signals_sent": list(self._sent),
            "oom_kills": self._oom.kills,
            "oom_age_s": None if self._oom.seen_at is None else max(0.0, self._finished - self._oom.seen_at),
            "memory_peak_bytes": (number_in(peak) if peak else None) or int(self._peak_bytes),
            "cpu_s": (number_in(cpu[0], cpu[1]) or 0) / cpu[2] if cpu else self._cpu_s,
            "log_dropped_bytes": self._log.dropped_bytes,
            "leftovers_killed": self._leftovers,
        }
