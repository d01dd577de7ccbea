"""Ends a command orderly when whoever started it is gone: a script of its own between the two.

Run by `guarded.BOOT` as ``python -I -S … LIFE TOLD WHOLE TERMS PATIENCE_S COMMAND...``. LIFE is the end to read of a
pipe of which only the starter has the other end: it ends with the starter, however that ends, and nobody has to look.
TOLD is written to: "pid" as soon as the command is executed, or "error errno" where it cannot be; then "ended status".
The command leads a session of its own, and stays a zombie until the guardian ends, so that its number stays its own.

At the end of LIFE the command gets SIGTERM (with WHOLE its group does) TERMS times, PATIENCE_S apart, then SIGKILL.
What is left of its group gets that too, and with WHOLE, where the guardian is a subreaper, all that it has started.

It imports little, as `supervisor` does, which lies beside it and lends it what it knows of the kernel.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wavepool.drivers.process.supervisor.kernel import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, children_of, prctl
else:
    from supervisor.kernel import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, children_of, prctl

KILL_PATIENCE_S = 10.0
"""What SIGKILL does not end in this time hangs in the kernel, or is another user's: it is left."""
LOOK_S = 0.02


def execute(command: list[str], guardian_pid: int, told: int) -> None:
    """In the fork: become the command. Tells of a failure through `told`."""
    try:
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guardian_pid:
            os.execvp(command[0], command)
    except OSError as error:
        os.write(told, f"error {error.errno or 0}\n".encode())
    os._exit(127)


class Guardian:
    """Of one command."""

    def __init__(self, life: int, told: int, *, whole: bool, terms: int, patience_s: float) -> None:
        self._life, self._told, self._whole = life, told, whole
        self._terms, self._patience_s = terms, patience_s
        self._pid = 0
        self._ended = False
        self._poller = select.poll()

    def start(self, command: list[str]) -> bool:
        """False where it cannot be executed, which is told then."""
        self._wake, wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if self._whole:
            prctl(PR_SET_CHILD_SUBREAPER, 1)
        executed, executing = os.pipe2(os.O_CLOEXEC)
        guardian_pid = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            execute(command, guardian_pid, self._told)
        os.close(executing)
        os.read(executed, 1)  # the end of it: executed, or ended
        os.close(executed)
        self._leave_streams()
        self._poller.register(self._wake, select.POLLIN)
        self._poller.register(self._life, select.POLLIN)
        return self._tell(f"{self._pid}\n")

    def watch(self) -> None:
        """From its start to the end of LIFE, and of all that is to end then."""
        while not self._turn(None):
            pass
        self._poller.unregister(self._life)
        for _ in range(self._terms):
            self._signal(signal.SIGTERM)
            end_s = time.monotonic() + self._patience_s
            while not self._ended and time.monotonic() < end_s:
                self._turn(end_s - time.monotonic())
            if self._ended:
                break
        self._kill_the_rest()

    def _turn(self, wait_s: float | None) -> bool:
        """Wait for what happens next. True where LIFE has ended."""
        ready = {fd for fd, _ in self._poller.poll(None if wait_s is None else max(0, wait_s * 1000))}
        if self._wake in ready:
            os.read(self._wake, 4096)
            self._look()
        return self._life in ready

    def _look(self) -> None:
        """See whether the command has ended, and let what it has left and we adopted rest."""
        if not self._ended:
            found = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is not None:
                self._ended = True
                killed = found.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
                self._tell(f"ended {-found.si_status if killed else found.si_status}\n")
        if self._whole:
            for child in children_of(os.getpid()):
                if child != self._pid:
                    os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG)

    def _signal(self, number: int) -> None:
        if self._ended:
            return
        try:
            (os.killpg if self._whole else os.kill)(self._pid, number)
        except OSError:  # of another user by now
            return

    def _kill_the_rest(self) -> None:
        end_s = time.monotonic() + KILL_PATIENCE_S
        while time.monotonic() < end_s:
            self._kill(-self._pid)
            left = children_of(os.getpid()) if self._whole else [self._pid]
            for child in left:
                if child != self._pid:
                    self._kill(child)
            self._look()
            if self._ended and not (self._whole and set(children_of(os.getpid())) - {self._pid}):
                return
            self._turn(LOOK_S)

    def _kill(self, pid: int) -> None:
        try:  # noqa: SIM105 - contextlib would add milliseconds to the start
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass

    def _tell(self, words: str) -> bool:
        try:
            os.write(self._told, words.encode())
        except OSError:  # nobody is there who would read it
            return False
        return True

    def _leave_streams(self) -> None:
        """The command's output must end with the command."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)


def main() -> None:
    life, told, whole, terms, patience_s, *command = sys.argv[1:]
    for descriptor in (life, told):
        os.set_inheritable(int(descriptor), False)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    guardian = Guardian(int(life), int(told), whole=whole == "1", terms=int(terms), patience_s=float(patience_s))
    guardian.start(command)
    guardian.watch()
