"""The supervisor of one attempt: a script of its own, so that the exit of an orphan is never lost.

Run by `launch.BOOT` as ``python -I -S … RECORD_DIR`` with its order (`marshal`, `launch.Order`) on stdin. It forks: the
parent returns at once, the child lives in a session of its own until the task has ended and

- claims the attempt (`started`, made with link(2): whoever comes second leaves without a trace),
- is the subreaper of everything the task leaves behind, and kills all of it when the main process ends; where it has
  several commands to run, that is between two of them too,
- pumps both output streams into one framed, bounded log, so that neither a full disk nor a reader stalls the task,
- ends the task on SIGTERM, after the shortest grace that the files `stop.*` hold,
- writes `exit.json` atomically, as its last word.

It imports nothing of wavepool and little else: json alone would double its start-up (9 ms to 18 ms measured). That is
why this file is longer than others, why it quotes its own JSON, and why `dict` and `list` have no parameters here, for
which checkers are told to be silent: what is in them would be `typing.Any`.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import select
import signal
import sys
import time

READ_BYTES = 64 * 1024
CLOCK_CHECK_S = 0.25
"""How often the OOM counter is read where the kernel cannot tell of its changes."""
OOM_SETTLE_S, OOM_SETTLE_STEP_S = 0.5, 0.05
"""The v1 notice comes before the kill: read the counter again for this long, this often."""
KILL_PATIENCE_S = 10.0
"""A process that SIGKILL does not end in this time hangs in the kernel; the record says that it is left."""
DEFAULT_GRACE_S = 10.0
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
STDOUT, STDERR, GAP = 1, 2, 0x80


def now_us() -> int:
    return time.time_ns() // 1000


def quoted(value: object) -> str:
    """JSON for None, bool, int, float, str, list and dict."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(str(key))}: {quoted(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(quoted(item) for item in value) + "]"
    if isinstance(value, str):
        plain = (
            char if " " <= char <= "~" and char not in '"\\' else f"\\u{min(ord(char), 0xFFFD):04x}" for char in value
        )
        return '"' + "".join(plain) + '"'
    return repr(value)


def write_once(directory: str, name: str, content: str, *, durable: bool) -> bool:
    """Create `directory/name` with all of its content, unless it exists. True if it was us."""
    draft = f"{directory}/.{name}.{os.getpid()}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, content.encode())
        if durable:
            os.fsync(fd)
        os.link(draft, f"{directory}/{name}")
    except FileExistsError:
        return False
    finally:
        os.close(fd)
        os.unlink(draft)
    return True


def read_text(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def write_control(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def start_ticks() -> int:
    """When this process started, in clock ticks since boot: with the pid it names a process for good."""
    return int((read_text("/proc/self/stat") or ")" + " 0" * 20).rpartition(")")[2].split()[19])


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def children_of(pid: int) -> list[int]:
    """Direct children, those adopted as a subreaper among them."""
    listed = read_text(f"/proc/{pid}/task/{pid}/children")
    if listed is not None:
        return [int(child) for child in listed.split()]
    stats = ((entry, read_text(f"/proc/{entry}/stat")) for entry in os.listdir("/proc") if entry.isdigit())
    return [int(entry) for entry, stat in stats if stat and int(stat.rpartition(")")[2].split()[1]) == pid]


def signal_quietly(pid: int, number: int) -> None:
    try:  # noqa: SIM105 - contextlib would add milliseconds to the start
        os.kill(pid, number)
    except OSError:
        pass


class Log:
    """One file of frames: stream (1 byte), 3 zero bytes, length (4), microseconds since the epoch (8), then data.

    Holds at most `cap_bytes` from the start. What comes after is read and dropped, but for the last `tail_bytes`,
    which are appended at the end; the first frame of that tail carries the GAP bit.
    """

    def __init__(self, path: str, cap_bytes: int, tail_bytes: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._left = cap_bytes
        self._tail_bytes = tail_bytes
        self._tail: list[tuple[int, int, bytes]] = []
        self._tail_held = 0
        self._full = False
        self.dropped_bytes = 0

    def add(self, stream: int, data: bytes) -> None:
        self._full = self._full or len(data) + 16 > self._left
        if self._full:
            self._keep_for_the_end(stream, data)
        else:
            self._left -= len(data) + 16
            self._write(stream, now_us(), data)

    def _keep_for_the_end(self, stream: int, data: bytes) -> None:
        self._tail.append((stream, now_us(), data))
        self._tail_held += len(data) + 16
        while self._tail_held > self._tail_bytes and self._tail:
            oldest_stream, at_us, oldest = self._tail.pop(0)
            excess = min(self._tail_held - self._tail_bytes, len(oldest))
            self.dropped_bytes += excess
            self._tail_held -= excess
            if excess < len(oldest):
                self._tail.insert(0, (oldest_stream, at_us, oldest[excess:]))
                return
            self._tail_held -= 16

    def _write(self, stream: int, at_us: int, data: bytes) -> None:
        header = bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + at_us.to_bytes(8, "big")
        try:
            written = os.writev(self._fd, (header, data))
        except OSError:  # the disk is full: the task must go on, and whoever reads must learn of the gap
            written = 0
        if written < len(header) + len(data):
            self._full = True
            self.dropped_bytes += len(data)
            if written:  # no half frame: a reader would wait for its rest
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)

    def close(self) -> None:
        gap = GAP if self.dropped_bytes else 0
        for stream, at_us, data in self._tail:
            self._write(stream | gap, at_us, data)
            gap = 0
        os.close(self._fd)


def become_task(order: dict, command: list, supervisor_pid: int, out: int, err: int, told: int) -> None:  # type: ignore[type-arg]
    """In the fork: take on session, streams, limits and user, then execute. Tells of a failure through `told`."""
    stage = "setup"
    try:
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.setsid()
        os.umask(0o022)
        for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        for path in order["join"]:
            write_control(path, "0")
        take_limits_and_user(order)
        os.chdir(order["cwd"])
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody could learn its exit: it must not run on unseen
        if os.getppid() != supervisor_pid:
            os._exit(1)
        stage = "exec"
        env = {encoded(key): encoded(value) for key, value in order["env"].items()}
        argv = [encoded(word) for word in command]
        os.execvpe(argv[0], argv, env)
    except BaseException as error:
        code = error.errno if isinstance(error, OSError) else 0
        text = f"{type(error).__name__}: {error}"
        if stage == "exec" and isinstance(error, OSError) and error.strerror:
            text = f"{command[0]}: {error.strerror}"
        os.write(told, marshal.dumps((stage, code or 0, text)))
    os._exit(127)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def take_limits_and_user(order: dict) -> None:  # type: ignore[type-arg]
    if order["rlimit_data"] is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (order["rlimit_data"], order["rlimit_data"]))
    if order["user"] is not None:
        uid, gid = order["user"]
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)


class OomCounter:
    """Counts kills for memory in the task's cgroup, and when the last one was seen."""

    def __init__(self, path: str | None, event_control: str | None) -> None:
        self._path = path
        self.kills: int | None = None
        self.seen_at: float | None = None
        self._settling_until = 0.0
        self.fd = -1
        self.events: int = select.POLLIN
        if path is not None:
            self._subscribe(path, event_control)
            self.read()

    def _subscribe(self, path: str, event_control: str | None) -> None:
        """v1: an eventfd; v2: the counter's own file wakes poll(2). Where neither works, a slow clock does."""
        try:
            self._file = os.open(path, os.O_RDONLY)
            if event_control is None:
                self.fd, self.events = self._file, select.POLLPRI
            else:
                self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                write_control(event_control, f"{self.fd} {self._file}")
        except OSError:
            self.fd = -1

    def notice(self) -> None:
        if self.events == select.POLLIN:
            os.read(self.fd, 8)
        else:  # v2 wakes again and again until this very descriptor has been read
            os.pread(self._file, 4096, 0)
        self._settling_until = time.monotonic() + OOM_SETTLE_S
        self.read()

    def read(self) -> None:
        for line in ((self._path and read_text(self._path)) or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                if self.kills is not None and int(value) > self.kills:
                    self.seen_at = time.monotonic()
                self.kills = int(value)

    def wait_s(self) -> float | None:
        """How long until the counter should be read without being asked to; None for never."""
        if self._path is None:
            return None
        if self.fd < 0:
            return CLOCK_CHECK_S
        return OOM_SETTLE_STEP_S if time.monotonic() < self._settling_until else None


class Supervisor:
    """Runs one task from fork to exit record."""

    def __init__(self, directory: str, order: dict, started_at: float) -> None:  # type: ignore[type-arg]
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

    def _run_one(self, command: list) -> None:  # type: ignore[type-arg]
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

    def _fork(self, command: list) -> None:  # type: ignore[type-arg]
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


def exec_code(number: int) -> int:
    """What a shell would return for a program that could not be executed, by errno."""
    return 127 if number in (errno.ENOENT, errno.ENOTDIR) else 126


def number_in(path: str, key: str = "") -> int | None:
    """The number of a control file, or that beside `key`."""
    words = (read_text(path) or "").split()
    try:
        return int(words[words.index(key) + 1 if key else 0])
    except (ValueError, IndexError):
        return None


def report(word: str) -> None:
    """One word to whoever launched us; then nobody listens any more."""
    null = os.open(os.devnull, os.O_RDWR)
    try:  # noqa: SIM105 - as above
        os.write(1, word.encode("utf-8", "replace"))
    except OSError:
        pass  # our launcher has died; the attempt goes on without it
    os.dup2(null, 1)
    os.close(null)


def detach() -> None:
    """Leave the launcher's session and its signals; keep only the report on stdout and our errors on stderr."""
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def supervise(directory: str, order: dict) -> None:  # type: ignore[type-arg]
    started_at = time.time()
    boot_id = (read_text("/proc/sys/kernel/random/boot_id") or "").strip()
    mark = {"by": "supervisor", "pid": os.getpid(), "ticks": start_ticks(), "boot_id": boot_id, "at": started_at}
    if not write_once(directory, "started", quoted(mark), durable=False):
        report("taken")
        return
    supervisor = Supervisor(directory, order, started_at)
    try:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        record = supervisor.run()
    except Exception as error:
        record = supervisor.failed(f"its supervisor failed: {type(error).__name__}: {error}")
    write_once(directory, "exit.json", quoted(record), durable=True)
    report("ended")
    for path in order["cgroup_dirs"]:
        for place, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(place)
            except OSError:
                break  # `remove` tries again


def main() -> None:
    directory, order = sys.argv[1], marshal.loads(sys.stdin.buffer.read())
    if os.fork() == 0:
        try:
            detach()
            supervise(directory, order)
        except FileNotFoundError:
            report("gone")  # the record was removed while we were starting
        except BaseException as error:
            report(f"error {type(error).__name__}: {error}")
    os._exit(0)
