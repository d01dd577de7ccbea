"""What is said on a control socket: one JSON object a line, a request first, then its replies.

::

    {"op": "cancel", "force": false}    {"ok": true, "taken": true, "facts": 120}
    {"op": "status"}                    {"ok": true, "run_id": ..., "pid": ..., "since": ..., "tasks": {...}, ...,
                                        "ops": [...]}, what this process understands
    {"op": "pause"}, {"op": "unpause"}  {"ok": true, "changed": true, "paused": true, "running": 3, "facts": 120}
    {"op": "cancel_tasks",              {"ok": true, "stopped": [...], "skipped": [...], "dependents": [...],
     "tasks": ["a"]}                    "ended": [...], "pid": ..., "facts": 120}: ids
    {"op": "retry", "tasks": ["a"]}     {"ok": true, "tasks": [...], "waiting": [...], "paused": false, "facts": 120};
                                        "tasks": [] is all that failed
    {"op": "follow", "since": 0}        {"ok": true}, then a line for each fact after number `since`:
                                        {"seq": 1, "boot_s": ..., "utc": ..., "fact": [...]}
                                        at the end {"result": {...}}; for who was cut off {"ok": false, "error": ...,
                                        "since": N}, where N is the last fact that it was sent

What is wrong with a request is told by {"ok": false, "error": "...", "kind": "..."}; what the run refuses also has
"advice" and "code" (the exit code), and the connection stays. The kind is one of `REFUSALS`, or the code of the error
as in docs/errors.md. One connection carries any number of requests, one after the other. A fact stands there as the
journal has it: who may open the socket may read the journal too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from wavepool.engine.naming import UnknownTask
from wavepool.errors import InfrastructureError, InputError, NotNow, RunOver, WavepoolError

REQUEST_BYTES = 1 << 20
"""The longest request: thousands of tasks."""

OPS = ("cancel", "status", "follow", "pause", "unpause", "cancel_tasks", "retry")
"""What this release understands; the first three are all that the first ones did."""

_OF_TASKS = ("cancel_tasks", "retry")

REPLY_BYTES = 1 << 30
"""The longest reply: a fact may bring a thousand prompts, a result a million tasks."""

_READ_BYTES = 65536
_CODE = re.compile(r"[a-z_]+")
_EARLIER = ("over", "input", "drained")
_PEER = struct.Struct("3i")


class ProtocolError(Exception):
    """The other side does not speak as agreed. The message is a sentence for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, checked. `force` belongs to cancel, `since` (>= 0) to follow, `tasks` to cancel_tasks and retry."""

    op: str
    force: bool = False
    since: int = 0
    tasks: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The line that asks for it."""
        asked: dict[str, object] = {"op": self.op}
        if self.op == "cancel":
            asked["force"] = self.force
        elif self.op == "follow":
            asked["since"] = self.since
        elif self.op in _OF_TASKS:
            asked["tasks"] = self.tasks
        return line(asked)


REFUSALS: Mapping[str, type[InputError]] = {
    "over": RunOver,
    "not_now": NotNow,
    "unknown_task": UnknownTask,
    "input": InputError,
}
"""`kind` of a refusal -> what it is raised as; of any other the code says whether it is the input. Earlier releases
said `input` of all that is."""

NUMBER_MAX = 2**62
"""Far above the number of any fact, and within what a database takes for a number."""


def parse_request(data: bytes) -> Request:
    """The request in one line.

    Raises:
        ProtocolError: no JSON, an unknown `op`, or a field of another type.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ProtocolError("a request is one JSON object on one line") from None
    if not isinstance(value, dict) or value.get("op") not in OPS:
        raise ProtocolError(f"`op` must be one of {', '.join(OPS)}")
    force, since = value.get("force", False), value.get("since", 0)
    if not isinstance(force, bool):
        raise ProtocolError("`force` must be true or false")
    if not isinstance(since, int) or isinstance(since, bool) or not 0 <= since <= NUMBER_MAX:
        raise ProtocolError("`since` must be the number of a fact, or 0")
    return Request(op=value["op"], force=force, since=since, tasks=_tasks(value))


def _tasks(value: Mapping[str, Any]) -> tuple[str, ...]:
    found = value.get("tasks", [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ProtocolError("`tasks` must be a list of ids")
    if value["op"] == "cancel_tasks" and not found:
        raise ProtocolError("`tasks` must name at least one task")
    return tuple(found)


def refusal(error: WavepoolError) -> bytes:
    """The line that tells of an error of ours."""
    kind = "over" if isinstance(error, RunOver) else error.code
    said = {"ok": False, "error": error.message, "advice": error.advice, "code": error.exit_code, "kind": kind}
    return line(said)


def refused(reply: Mapping[str, Any], run_id: str) -> WavepoolError | None:
    """The error that a line tells of; None where it is none that the run itself refused with."""
    if "code" not in reply:
        return None
    message, advice = str(reply.get("error")), str(reply.get("advice", ""))
    kind = REFUSALS.get(str(reply.get("kind")))
    if kind is not None and issubclass(kind, NotNow):
        return kind(run_id, message, advice=advice)
    usual = InputError if reply["code"] == InputError.exit_code else InfrastructureError
    return (kind or usual)(message, advice=advice, code=code_of(reply))


def code_of(reply: Mapping[str, Any]) -> str:
    """What is refused, as the code of an error; empty where the kind is none, or is of an earlier release."""
    kind = str(reply.get("kind", ""))
    return kind if _CODE.fullmatch(kind) and kind not in _EARLIER else ""


def line(value: Mapping[str, Any]) -> bytes:
    """One object as a line."""
    return json.dumps(value, separators=(",", ":"), default=str).encode("ascii") + b"\n"


class LineSocket:
    """Lines over a connected socket that does not block. Closed by its owner; one reader and one writer at a time."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._read = bytearray()
        self._searched = 0
        self._sending = False

    def close(self) -> None:
        """Safe to repeat."""
        self._socket.close()

    def peer(self) -> tuple[int, int]:
        """(process id, user id) of who made the other end, as the kernel knows them."""
        pid, uid, _ = _PEER.unpack(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        return pid, uid

    async def receive(self, limit: int) -> bytes | None:
        """The next line without its end; None where the other side has closed.

        Raises:
            ProtocolError: the line is longer than `limit` bytes.
            OSError: the connection broke.
        """
        while (end := self._read.find(b"\n", self._searched)) < 0:
            self._searched = len(self._read)
            if self._searched > limit:
                raise ProtocolError(f"a line is longer than {limit} bytes")
            await anyio.wait_readable(self._socket)
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            if not data:
                return None
            self._read += data
        found = bytes(self._read[:end])
        del self._read[: end + 1]
        self._searched = 0
        return found

    async def send(self, data: bytes) -> None:
        """Write all of it; waits as long as the other side does not read.

        Raises:
            OSError: the connection broke.
        """
        left = memoryview(data)
        self._sending = True  # stays so where the connection breaks, or the caller is cancelled
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
        self._sending = False

    @property
    def is_torn(self) -> bool:
        """A line was cut off in the middle of its writing, or one is just being written: no other can follow."""
        return self._sending

    def send_if_room(self, data: bytes) -> None:
        """A last line, if it can be written at once, and not into the middle of another one."""
        if not self._sending:
            with contextlib.suppress(OSError):
                self._socket.send(data)

    async def until_readable(self) -> None:
        """Return when the other side has sent something, or has closed; takes nothing of it."""
        await anyio.wait_readable(self._socket)


def short_path(directory: int, name: str) -> str:
    """The path of `name` in an open directory: a socket's may have 107 bytes, and a state directory may lie deep."""
    return f"/proc/self/fd/{directory}/{name}"


def open_directory(path: os.PathLike[str]) -> int:
    """A descriptor for `short_path`; the caller closes it. Raises OSError."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
