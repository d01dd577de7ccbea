"""What is said on the socket of `wavepool serve`: one JSON object a line, a request first, then its replies.

::

    {"op": "status"}                              {"ok": true, ...}
    {"op": "warm", "type": "coder", "count": 2}   {"ok": true, ...} as soon as so many are idle; null: its minimum
    {"op": "scale", "type": "coder", "count": 5}  {"ok": true, ...}
    {"op": "drain", "type": null}                 {"ok": true, ...} as soon as none is left; null: all types
    {"op": "run", "type": "coder", "command": ["make"], "env": {}, "secrets": {"KEY": "<base64>"},
     "prompt": "<base64>", "directory": "", "workspace": "", "limits": {}, "timeout_s": null, "grace_s": 10,
     "stream": true, "name": ""}
    {"op": "usage", "names": ["a"]}               {"ok": true, "usage": {"a": {"memory_bytes": 4096, ...}}} of what runs
    {"op": "logs", "names": ["a"], "follow": true}  its output, from its start; then {"ok": true, "ended": true}

Output of a run comes as ``{"stdout": "<base64>"}`` and ``{"stderr": "<base64>"}``; ``{"cut": 4096, "of": "stdout"}``
stands where so many bytes are left out, as whoever reads was too slow. Its last line is ``{"result": {...}}``.
Meanwhile the client may say ``{"op": "stop"}``; where it hangs up, the task is stopped. With ``"stream": false`` no
output comes, and the result brings the newest of it. A run with a name can be looked at by it from any connection:
``{"gap": "...", "of": "stdout"}`` stands in its logs where some may be missing.

What is wrong is told by ``{"ok": false, "error": "...", "advice": "...", "code": 2, "kind": "input"}``, where the code
is what the command exits with, and the kind one of `REFUSALS`, or the code of the error as docs/errors.md has it. One
connection carries any number of requests, one after the other.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

from wavepool.engine.control.protocol import ProtocolError, code_of, line
from wavepool.errors import DriverUnavailable, InputError, NoSuchAttempt, PoolDrained, WavepoolError
from wavepool.model import Limits

REFUSALS: Mapping[str, type[WavepoolError]] = {
    "drained": PoolDrained,
    "input": InputError,
    NoSuchAttempt.code: NoSuchAttempt,
    DriverUnavailable.code: DriverUnavailable,
}
"""`kind` of a refusal -> what it is raised as. Earlier servers said `input` of all that is, and nothing of all else."""

REQUEST_BYTES = 64 * 1024 * 1024
"""The longest request: a prompt of any length, and secrets of 1 MiB each."""

LIMIT_FIELDS = ("memory_bytes", "cpus", "pids", "lifetime_s")
OPS = ("status", "warm", "scale", "drain", "run", "usage", "logs")
Op = Literal["status", "warm", "scale", "drain", "run", "usage", "logs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrder:
    """One task for a pool.

    Attributes:
        agent_type: whose pool.
        command: argv; None for the image's own entrypoint.
        env: over the agent type's variables.
        secrets: name -> value; they travel over this socket alone.
        prompt: delivered byte for byte as the file that TASK_PROMPT_FILE names.
        directory: where it runs inside; empty for /workspace.
        workspace: absolute path of a directory on the state directory's file system: its files are moved into the
            task's workspace before, and back after it; empty for none.
        limits: some of memory_bytes, cpus, pids and lifetime_s: the agent type's else.
        timeout_s: None for what the pools have.
        grace_s: how long it has to end by itself where it is stopped.
        stream: output comes as it is written; else the result brings the newest of it.
        name: what others may look at it by while it runs; empty for nobody.
    """

    agent_type: str
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    prompt: str = ""
    directory: str = ""
    workspace: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    timeout_s: float | None = None
    grace_s: float = 10.0
    stream: bool = True
    name: str = ""

    def encode(self) -> bytes:
        """The line that asks for it."""
        asked = {
            "op": "run",
            "type": self.agent_type,
            "command": None if self.command is None else list(self.command),
            "env": dict(self.env),
            "secrets": {name: packed(value) for name, value in self.secrets.items()},
            "prompt": packed(self.prompt.encode("utf-8", "surrogatepass")),
            "directory": self.directory,
            "workspace": self.workspace,
            "limits": dict(self.limits),
            "timeout_s": self.timeout_s,
            "grace_s": self.grace_s,
            "stream": self.stream,
            "name": self.name,
        }
        return line(asked)

    def limits_over(self, usual: Limits) -> Limits | None:
        """The agent type's limits with what was said over them; None where nothing was."""
        if not self.limits:
            return None
        said: dict[str, Any] = {name: self.limits[name] for name in LIMIT_FIELDS if name in self.limits}
        for name in {"memory_bytes", "pids"} & said.keys():
            said[name] = int(said[name])
        return replace(usual, **said)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRequest:
    """One request, checked. `agent_type` None is all types; `count` belongs to warm and scale, `order` to run, `names`
    to usage and logs (which has one), `follow` to logs.
    """

    op: Op
    agent_type: str | None = None
    count: int | None = None
    order: TaskOrder | None = None
    names: tuple[str, ...] = ()
    follow: bool = False

    def encode(self) -> bytes:
        """The line that asks for it."""
        if self.order is not None:
            return self.order.encode()
        if self.op in ("usage", "logs"):
            return line({"op": self.op, "names": self.names, "follow": self.follow})
        return line({"op": self.op, "type": self.agent_type, "count": self.count})


def parse_pool_request(data: bytes) -> PoolRequest:
    """The request in one line.

    Raises:
        ProtocolError: no JSON, an unknown `op`, or a field of another type.
    """
    value = _object(data)
    op = value.get("op")
    if op not in OPS:
        raise ProtocolError(f"`op` must be one of {', '.join(OPS)}")
    if op == "run":
        return PoolRequest(op="run", agent_type=_text(value, "type"), order=_order(value))
    if op in ("usage", "logs"):
        return PoolRequest(op=op, names=_names(value, op), follow=_switch(value.get("follow", False), "follow"))
    agent_type, count = value.get("type"), value.get("count")
    if not isinstance(agent_type, str | None) or (agent_type is None and op in ("warm", "scale")):
        raise ProtocolError("`type` must be the name of an agent type")
    if isinstance(count, bool) or not isinstance(count, int | None) or (count is None and op == "scale"):
        raise ProtocolError("`count` must be a whole number")
    return PoolRequest(op=op, agent_type=agent_type, count=count)


STOP = line({"op": "stop"})


def check_stop(data: bytes) -> None:
    """See that a client says the one thing that it may say while its task runs. Raises ProtocolError."""
    if _object(data).get("op") != "stop":
        raise ProtocolError("while a task runs, `op` must be stop")


def packed(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode("ascii")


def unpacked(text: object) -> bytes:
    """Bytes from such text. Raises ProtocolError."""
    try:
        return base64.b64decode(text, validate=True)  # type: ignore[arg-type]  # other types are a TypeError
    except (TypeError, ValueError, binascii.Error):
        raise ProtocolError("bytes must be base64") from None


def refusal(error: WavepoolError) -> bytes:
    """The line that tells of an error of ours."""
    kind = "drained" if isinstance(error, PoolDrained) else error.code
    said = {"ok": False, "error": error.message, "advice": error.advice, "code": error.exit_code, "kind": kind}
    return line(said)


def raise_refusal(reply: Mapping[str, Any], kind: Callable[..., WavepoolError]) -> NoReturn:
    """Raise what a line tells of: by its kind, where it has none that we know InputError by its code, else `kind`."""
    message, advice = str(reply.get("error", "it refused")), str(reply.get("advice", ""))
    usual = InputError if reply.get("code") == InputError.exit_code else kind
    raise REFUSALS.get(str(reply.get("kind")), usual)(message, advice=advice, code=code_of(reply))


# -- reading --


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ProtocolError("a request is one JSON object on one line")
    return value


def _order(value: Mapping[str, Any]) -> TaskOrder:
    timeout_s = value.get("timeout_s")
    return TaskOrder(
        agent_type=_text(value, "type"),
        command=_command(value.get("command")),
        env=_texts(value, "env"),
        secrets={name: unpacked(text) for name, text in _texts(value, "secrets").items()},
        prompt=unpacked(value.get("prompt", "")).decode("utf-8", "surrogatepass"),
        directory=_text(value, "directory", ""),
        workspace=_text(value, "workspace", ""),
        limits=_limits(value.get("limits", {})),
        timeout_s=None if timeout_s is None else _number(timeout_s, "timeout_s"),
        grace_s=_number(value.get("grace_s", 10.0), "grace_s"),
        stream=_switch(value.get("stream", True), "stream"),
        name=_text(value, "name", ""),
    )


def _names(value: Mapping[str, Any], op: str) -> tuple[str, ...]:
    found = value.get("names")
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ProtocolError("`names` must be a list of texts")
    if op == "logs" and len(found) != 1:
        raise ProtocolError("`names` must have one name: the logs of one task are told at a time")
    return tuple(found)


def _text(value: Mapping[str, Any], name: str, default: str | None = None) -> str:
    found = value.get(name, default)
    if not isinstance(found, str):
        raise ProtocolError(f"`{name}` must be text")
    return found


def _texts(value: Mapping[str, Any], name: str) -> dict[str, str]:
    found = value.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise ProtocolError(f"`{name}` must be texts by name")
    return found


def _command(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ProtocolError("`command` must be a list of texts, or null")
    return tuple(value)


def _limits(value: object) -> dict[str, float]:
    if not isinstance(value, dict) or not value.keys() <= set(LIMIT_FIELDS):
        raise ProtocolError(f"`limits` may have {', '.join(LIMIT_FIELDS)}")
    return {name: _number(each, f"limits.{name}") for name, each in value.items()}


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ProtocolError(f"`{name}` must be a number that is not below 0")
    return value


def _switch(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise ProtocolError(f"`{name}` must be true or false")
    return value
