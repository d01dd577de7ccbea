"""Requests, and facts as lines: what is written is what is read, and nothing else is taken."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from wavepool.core.facts import Outcome, RunFinished, Stamped, TaskSkipped
from wavepool.engine.control.protocol import ProtocolError, Request, parse_request, refusal, refused
from wavepool.engine.naming import UnknownTask
from wavepool.errors import InfrastructureError, InputError, WavepoolError
from wavepool.journal.codec import Undecodable
from wavepool.journal.line import BEGINS, from_line, to_line

NOW = datetime(2026, 11, 20, 23, 15, 30, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "request_",
    [
        Request(op="cancel", force=True),
        Request(op="cancel"),
        Request(op="status"),
        Request(op="follow", since=12),
        Request(op="pause"),
        Request(op="unpause"),
        Request(op="cancel_tasks", tasks=("a", 'odd "\ud800\n')),
        Request(op="retry", tasks=("a",)),
        Request(op="retry"),
    ],
)
def test_a_request_is_read_as_it_was_written(request_: Request) -> None:
    line = request_.encode()
    assert line.endswith(b"}\n")
    assert parse_request(line) == request_


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "one JSON object on one line"),
        (b"\xff{}", "one JSON object on one line"),
        (b"[" * 4000, "one JSON object on one line"),
        (b"[]", "`op` must be one of"),
        (b'{"op": "stop"}', "`op` must be one of"),
        (b'{"op": ["cancel"]}', "`op` must be one of"),
        (b'{"op": "cancel", "force": 1}', "`force` must be true or false"),
        (b'{"op": "cancel_tasks"}', "`tasks` must name at least one task"),
        (b'{"op": "retry", "tasks": "a"}', "`tasks` must be a list of ids"),
        (b'{"op": "retry", "tasks": [1]}', "`tasks` must be a list of ids"),
        (b'{"op": "follow", "since": true}', "`since` must be the number of a fact"),
        (b'{"op": "follow", "since": 1000000000000000000000}', "`since` must be the number of a fact"),
        (b'{"op": "follow", "since": -1}', "`since` must be the number of a fact"),
        (b'{"op": "follow", "since": "1"}', "`since` must be the number of a fact"),
    ],
)
def test_anything_else_is_no_request(line: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_request(line)


@pytest.mark.parametrize("kind", [UnknownTask, InputError, InfrastructureError])
def test_a_refusal_arrives_as_the_error_that_it_was(kind: type[WavepoolError]) -> None:
    found = refused(json.loads(refusal(kind("no", advice="Do."))), "r")
    assert type(found) is kind
    assert str(found) == "no\nDo."


def test_a_refusal_of_a_kind_of_a_later_release_is_known_by_its_code() -> None:
    said = json.loads(refusal(InputError("no"))) | {"kind": "of tomorrow"}
    assert type(refused(said, "r")) is InputError


@pytest.mark.parametrize(
    "fact", [RunFinished(outcome=Outcome.FAILED, at=NOW), TaskSkipped(task_id='odd "\ud800\n', cause="x")]
)
def test_a_fact_is_read_as_it_was_written(fact: RunFinished | TaskSkipped) -> None:
    line = to_line(7, Stamped(12.5, NOW, fact))
    assert line.startswith(BEGINS)
    assert line.count(b"\n") == 1
    assert from_line(line[:-1]) == (7, Stamped(12.5, NOW, fact))


@pytest.mark.parametrize(
    "line",
    [
        b'{"result": {}}',
        b'{"seq":1,"boot_s":0,"utc":"2026-11-20T23:15:30Z","fact":["NoSuch",1,{}]}',
        b'{"seq":1,"boot_s":0,"utc":"2026-11-20T23:15:30Z","fact":["RunFinished",99,{}]}',
    ],
)
def test_a_line_that_is_no_fact_of_this_release(line: bytes) -> None:
    with pytest.raises(Undecodable):
        from_line(line)
