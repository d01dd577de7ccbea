"""From a fork of ours to the program of the task."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the half without enum
import errno
import marshal
import os

from .kernel import PR_SET_PDEATHSIG, prctl, write_control


def become_task(
    order: dict,  # type: ignore[type-arg]  # Any: typing is slow to import
    command: list[str],
    supervisor_pid: int,
    out: int,
    err: int,
    told: int,
) -> None:
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


def take_limits_and_user(order: dict) -> None:  # type: ignore[type-arg]  # Any: typing is slow to import
    if order["rlimit_data"] is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (order["rlimit_data"], order["rlimit_data"]))
    if order["user"] is not None:
        uid, gid = order["user"]
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)


def exec_code(number: int) -> int:
    """What a shell would return for a program that could not be executed, by errno."""
    return 127 if number in (errno.ENOENT, errno.ENOTDIR) else 126
