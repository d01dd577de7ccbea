"""`--detach`: the rest of the command goes on in a process of its own, which no terminal can hang up on."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable

import typer

from wavepool.cli.output import print_result
from wavepool.engine.unbegun import forget_unbegun
from wavepool.errors import InfrastructureError
from wavepool.statedir import RunDir, StateDir

_HELD = b"held"


def detached(files: RunDir) -> Callable[[RunDir], None]:
    """Returns in the detached process only: what it must call as soon as it holds the run.

    That process is a fork in a session of its own: it has the plan and the secrets in its memory, so that these need
    no argv and no file. Its stdout and stderr are `files.detached_log`. The process that was called waits until the
    run is held, prints where it is, and ends; or reports why the detached one ended, with its exit code.

    Raises:
        Exit: in the process that was called, always.
        InfrastructureError: the run's directory cannot be made.
    """
    files.create()
    log = os.open(files.detached_log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    before = os.fstat(log).st_size
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        raise typer.Exit(_await_held(files, pid, reading, log, before))
    _leave_the_terminal(log, writing)

    def held(_: RunDir) -> None:
        os.write(writing, _HELD)
        os.close(writing)

    return held


def _leave_the_terminal(log: int, writing: int) -> None:
    """A session of its own, its output to the log, and nothing else of what the caller had open."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nowhere, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.closerange(3, writing)
    os.closerange(writing + 1, most)


def _await_held(files: RunDir, pid: int, reading: int, log: int, before: int) -> int:
    with os.fdopen(reading, "rb") as pipe, os.fdopen(log, "rb") as said:
        is_held = pipe.read() == _HELD
        if is_held:
            print_result({"run_id": files.id, "pid": pid, "log": str(files.detached_log)})
            return 0
        _, status = os.waitpid(pid, 0)
        said.seek(before)  # the file itself may be gone, with all of a run that never began
        sys.stderr.write(said.read().decode(errors="replace"))
    with contextlib.suppress(InfrastructureError), files.lock(as_its_process=False):
        forget_unbegun(StateDir(files.path.parent.parent), files, although_logged=True)
    return os.waitstatus_to_exitcode(status) % 256
