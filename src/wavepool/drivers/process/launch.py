"""Start the supervisor of one attempt."""

from __future__ import annotations

import marshal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from wavepool.drivers.process.cgroups import Membership
from wavepool.errors import Unknown

BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from supervisor.main import main; main()"
"""Imported rather than run: so it is compiled once and not at every start (8 ms of 30). Appended to the path, so that
nothing beside it hides a module of the standard library."""
LOG_TAIL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a supervisor is told to run. It goes through a pipe: nothing of it is ever on disk or in argv.

    Attributes:
        commands: of the task, each an argv: run in turn until one fails; usually there is one.
        env, cwd: of the task.
        membership: its control groups; None where there are none.
        rlimit_data: bound of each process's private memory, in bytes, where no control group bounds the whole.
        user: uid and gid to become; None to stay.
        log_cap_bytes, log_tail_bytes: how much output is kept from the start, and from the end beyond that.
    """

    commands: tuple[tuple[str, ...], ...]
    env: Mapping[str, str]
    cwd: str
    membership: Membership | None
    rlimit_data: int | None
    user: tuple[int, int] | None
    log_cap_bytes: int
    log_tail_bytes: int

    def packed(self) -> bytes:
        """As the supervisor reads it: it is run by this very interpreter, so marshal's version is the same."""
        groups = _NO_GROUPS if self.membership is None else asdict(self.membership)
        return marshal.dumps(
            {
                "commands": [list(command) for command in self.commands],
                "env": dict(self.env),
                "cwd": self.cwd,
                "rlimit_data": self.rlimit_data,
                "user": self.user,
                "log_cap_bytes": self.log_cap_bytes,
                "log_tail_bytes": self.log_tail_bytes,
                "cgroup_dirs": list(groups["directories"]),
                **{key: groups[key] for key in ("join", "oom", "oom_event_control", "peak", "cpu", "kill_writes")},
            }
        )


_NO_GROUPS: dict[str, Any] = {
    "directories": (),
    "join": (),
    "oom": None,
    "oom_event_control": None,
    "peak": None,
    "cpu": None,
    "kill_writes": (),
}


class Launched(StrEnum):
    """What became of a launch. `RUNNING`: the program is executed. `ENDED`: it is over already (or never could be
    executed). `TAKEN`: somebody else took the attempt on. `GONE`: its record was removed meanwhile."""

    RUNNING = "running"
    ENDED = "ended"
    TAKEN = "taken"
    GONE = "gone"


def launch(directory: Path, order: Order, deadline_s: float) -> Launched:
    """Run a supervisor for the record in `directory`; returns when its program is executed. Blocks.

    Raises:
        Unknown: no word of it in time, or a word that we do not know; its record will tell.
        OSError: no process could be made.
    """
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOT, str(Path(__file__).parent), str(directory)]
    with open(directory / "errors", "ab") as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={"LANG": "C.UTF-8"},
            start_new_session=True,
        )
    with child:
        try:
            said, _ = child.communicate(order.packed(), timeout=deadline_s)
        except subprocess.TimeoutExpired:
            child.kill()  # this is the launcher only: what it forked goes on
            raise Unknown(f"the supervisor of {directory.name} gave no word within {deadline_s:.0f} s") from None
    try:
        return Launched(said.decode("utf-8", "replace"))
    except ValueError:
        raise Unknown(f"the supervisor of {directory.name} failed: {_last_words(directory, said)}") from None


def _last_words(directory: Path, said: bytes) -> str:
    try:
        noted = (directory / "errors").read_text(errors="replace").strip()
    except OSError:
        noted = ""
    return (said.decode("utf-8", "replace") or noted[-400:] or "it said nothing").strip()
