"""What ties us to the process that launched us: one word, and then nothing."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the half without enum
import os


def report(word: str) -> None:
    """One word to whoever launched us; then nobody listens any more."""
    null = os.open(os.devnull, os.O_RDWR)
    try:  # noqa: SIM105 - contextlib would add milliseconds to the start
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
