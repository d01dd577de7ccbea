"""What `wavepool serve` says: lines on stderr for a person, JSON lines on stdout for a machine. Never waits."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavepool.cli.dashboard import words_of
from wavepool.core.pools import PoolMetrics
from wavepool.engine.control.pools import Served
from wavepool.listeners.lines import LineWriter
from wavepool.listeners.wording import printable
from wavepool.model import PoolsConfig
from wavepool.units import format_duration

if TYPE_CHECKING:
    from wavepool.web.server import Address

CLOSE_S = 5.0


class ServingLog:
    """Made by `open_log`. Lines that nobody takes are dropped, so that a reader never holds up the pools.

    Args:
        lines: to stderr.
        events: to stdout; None without `--json`.
        verbose: each task and the metrics as lines too.
    """

    def __init__(self, lines: LineWriter[str], events: LineWriter[str] | None, *, verbose: bool) -> None:
        self._lines = lines
        self._events = events
        self._verbose = verbose

    def say(self, kind: str, text: str, **details: object) -> None:
        """Something that is always said."""
        self._event(kind, details)
        self._line(text)

    def notice(self, text: str) -> None:
        """A sentence for a person: a warning of the pools, mostly."""
        self._event("notice", {"text": text})
        self._line(text)

    def pulling(self, image: str, text: str) -> None:
        """How far the pull of an image is."""
        self._event("pulling", {"image": image, "text": text})
        if self._verbose:
            self._line(f"pulling {image}: {text}")

    def serving(self, session: str, socket: Path, config: PoolsConfig) -> None:
        """The socket is there."""
        warm = ", ".join(config.warm) or "no type in advance"
        self.say(
            "serving",
            f"serving {warm} on {socket}, process {os.getpid()}; Ctrl-C ends it when its tasks have ended",
            pid=os.getpid(),
            session=session,
            socket=str(socket),
            warm=list(config.warm),
        )

    def page(self, address: Address) -> None:
        """The page is there. Its token is in the line for its user, and in no event."""
        self._event("page", {"url": address.page, "websocket": address.websocket, "token_file": address.token_file})
        self._line(words_of(address))
        if address.websocket is not None:
            self._line(f"WebSocket: {address.websocket}")

    def served(self, served: Served) -> None:
        """Something was done for a client."""
        self._event(served.kind, {"agent_type": served.agent_type, **served.details})
        if self._verbose and served.kind != "task_started":
            self._line(_words(served))

    def metrics(self, metrics: PoolMetrics) -> None:
        """The seed's, now and then."""
        self._event("metrics", metrics.as_seed())
        if self._verbose:
            self._line(
                f"{metrics.total_containers} containers, {metrics.pool_utilization_percent:.0f}% in use, "
                f"hit rate {metrics.container_hit_rate_percent:.0f}%, {metrics.unhealthy_containers} unhealthy"
            )

    def _event(self, kind: str, details: dict[str, Any]) -> None:
        if self._events is not None:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._events.put(json.dumps({"kind": kind, "at": at, **details}, default=str) + "\n")

    def _line(self, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        for line in text.split("\n"):
            self._lines.put(f"{now} {printable(line)}\n")


@contextmanager
def open_log(*, as_json: bool, verbose: bool) -> Iterator[ServingLog]:
    """What waits is written at the end, as far as somebody reads."""

    def write_line(text: str) -> None:
        sys.stderr.write(text)

    def write_event(text: str) -> None:
        sys.stdout.write(text)

    lines = LineWriter(write_line, lambda: sys.stderr.flush())
    events = LineWriter(write_event, lambda: sys.stdout.flush()) if as_json else None
    try:
        yield ServingLog(lines, events, verbose=verbose)
    finally:
        for writer in (lines, events):
            if writer is not None:
                writer.close(CLOSE_S)


def _words(served: Served) -> str:
    details = served.details
    if served.kind != "task_ended":
        size = "" if details.get("count") is None else f" {details['count']}"
        return f"{served.agent_type or 'all'}: {served.kind}{size}"
    if "refused" in details:
        return f"{served.agent_type}: a task was refused: {details['refused']}"
    if "why" in details:
        return f"{served.agent_type}: a task was stopped: {details['why']}"
    took = format_duration(details["took_s"])
    code = "" if details["exit_code"] is None else f" (exit code {details['exit_code']})"
    return f"{details['attempt']}: {details['verdict']}{code} in {took}, {details['where']}"
