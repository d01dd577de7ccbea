"""From an order on stdin to the supervision of its attempt."""

from __future__ import annotations

import marshal
import os
import sys
import time

from .kernel import PR_SET_CHILD_SUBREAPER, prctl, quoted, read_text, start_ticks, write_once
from .launcher import detach, report
from .supervising import Supervisor


def supervise(directory: str, order: dict) -> None:  # type: ignore[type-arg]  # Any: typing is slow to import
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
