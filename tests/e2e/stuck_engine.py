"""A daemon of a test's own that is stuck by itself: proved past it, told, and no failure of what is tested.

Seen once in some hundred restarts of a Docker 20.10 with live-restore, on a busy machine: it went on calling a
container running whose process had ended, and even `docker rm -f` came to no end.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wavepool.testing.own_daemon import OwnDaemon

ANSWER_S = 30.0
LOOK_S = 20.0
"""For so long it must be seen to be stuck."""
TRIES = 2
GOROUTINES_SHOWN, FRAMES_SHOWN = 12, 9


_MINUTES = re.compile(r"goroutine \d+ \[[^]]+, \d+ minutes")


class EngineStuck(AssertionError):
    """The daemon is why a test came to no end."""


def proof_that_it_is_stuck(daemon: OwnDaemon) -> str:
    """What it does not answer, or still calls running; empty where nothing speaks against it."""
    end_s = time.monotonic() + LOOK_S
    while found := _look(daemon):
        if time.monotonic() > end_s:
            return f"{found}\n{_what_it_waits_for(daemon)}"
        time.sleep(0.5)
    return ""


def _look(daemon: OwnDaemon) -> str:
    try:
        for container in _docker(daemon, "ps", "-q", "--no-trunc").split():
            known = json.loads(_docker(daemon, "inspect", container) or "[]")
            for state in (each["State"] for each in known):
                if state["Running"] and not os.path.exists(f"/proc/{state['Pid']}"):
                    return f"dockerd calls container {container[:12]} running, whose process {state['Pid']} has ended"
    except subprocess.TimeoutExpired as error:
        return f"dockerd does not answer `docker {error.cmd[3]}` within {ANSWER_S:.0f} s"
    return ""


def _docker(daemon: OwnDaemon, *arguments: str) -> str:
    words = ["docker", "--host", daemon.host, *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_S, check=False).stdout


def _what_it_waits_for(daemon: OwnDaemon) -> str:
    """Goroutines of dockerd that have waited for minutes; it writes all of them at SIGUSR1."""
    before = daemon.log.stat().st_size
    if daemon.pid is None:
        return "it has ended"
    os.kill(daemon.pid, signal.SIGUSR1)
    end_s = time.monotonic() + ANSWER_S
    while not (named := re.search(r"stacks written to ([^\s\"]+)", daemon.log.read_text(errors="replace")[before:])):
        if time.monotonic() > end_s:
            return "it tells nothing of its goroutines"
        time.sleep(0.1)
    blocks = Path(named[1]).read_text(errors="replace").split("\n\n")
    waiting = [
        each for each in blocks if re.match(r"goroutine \d+ \[(semacquire|chan receive|select|IO wait).*minutes", each)
    ]
    return "\n".join("\n".join(each.splitlines()[:FRAMES_SHOWN]) for each in waiting[:GOROUTINES_SHOWN])


def tried_again_where_the_engine_is_stuck(test: Callable[..., None]) -> Callable[..., None]:
    """For a test with the fixture `tmp_path`: once more, with another daemon, and that is told under PROVED."""

    @functools.wraps(test)
    def tried(*, tmp_path: Path, record_property: Callable[[str, object], None], **given: Any) -> None:
        if "record_property" in inspect.signature(test).parameters:
            given["record_property"] = record_property
        for number in range(1, TRIES + 1):
            place = tmp_path / f"try-{number}"
            place.mkdir()
            try:
                test(tmp_path=place, **given)
                return
            except EngineStuck as error:
                if number == TRIES:
                    raise
                record_property("proof", f"NOTHING AT FIRST, as its own Docker daemon was stuck; tried again: {error}")

    wanted = dict(inspect.signature(test).parameters)
    wanted.setdefault("record_property", inspect.Parameter("record_property", inspect.Parameter.KEYWORD_ONLY))
    tried.__signature__ = inspect.Signature(list(wanted.values()))  # type: ignore[attr-defined]  # what pytest reads
    return tried
