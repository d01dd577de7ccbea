"""The socket of `wavepool serve`: what is written is what is read, nothing else is taken, and output is bounded."""

from __future__ import annotations

import json

import anyio
import pytest

from wavepool.engine.control.pools.outgoing import PIECE_COST_BYTES, Outgoing, Room
from wavepool.engine.control.pools.protocol import (
    STOP,
    PoolRequest,
    TaskOrder,
    check_stop,
    parse_pool_request,
    raise_refusal,
    refusal,
    unpacked,
)
from wavepool.engine.control.protocol import ProtocolError
from wavepool.errors import InfrastructureError, InputError, PoolDrained, SettingError
from wavepool.model import Limits

ORDER = TaskOrder(
    agent_type="coder",
    command=("sh", "-c", 'echo "\udcff\n"'),
    env={"A": "b=c"},
    secrets={"KEY": b"\x00\xff"},
    prompt="write \udcfe it\n",
    directory="/workspace/x",
    limits={"memory_bytes": 64 << 20, "cpus": 0.5},
    timeout_s=1.5,
    grace_s=0,
    stream=False,
    name="cfn-wave1-a",
)


@pytest.mark.parametrize(
    "request_",
    [
        PoolRequest(op="status"),
        PoolRequest(op="warm", agent_type="coder"),
        PoolRequest(op="warm", agent_type="coder", count=3),
        PoolRequest(op="scale", agent_type="coder", count=0),
        PoolRequest(op="drain"),
        PoolRequest(op="drain", agent_type="coder"),
        PoolRequest(op="run", agent_type="coder", order=TaskOrder(agent_type="coder")),
        PoolRequest(op="run", agent_type="coder", order=ORDER),
        PoolRequest(op="usage", names=("a", "b \n")),
        PoolRequest(op="usage"),
        PoolRequest(op="logs", names=("a",), follow=True),
    ],
)
def test_a_request_is_read_as_it_was_written(request_: PoolRequest) -> None:
    line = request_.encode()
    assert line.count(b"\n") == 1
    assert parse_pool_request(line) == request_


def test_no_secret_is_in_what_is_shown_of_an_order() -> None:
    assert "KEY" not in repr(ORDER)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "one JSON object on one line"),
        (b"[" * 5000, "one JSON object on one line"),
        (b"[]", "one JSON object on one line"),
        (b"{}", "`op` must be one of status, warm, scale, drain, run"),
        (b'{"op": "stop"}', "`op` must be one of"),
        (b'{"op": "warm"}', "`type` must be the name of an agent type"),
        (b'{"op": "drain", "type": 7}', "`type` must be the name of an agent type"),
        (b'{"op": "scale", "type": "coder"}', "`count` must be a whole number"),
        (b'{"op": "scale", "type": "coder", "count": true}', "`count` must be a whole number"),
        (b'{"op": "warm", "type": "coder", "count": 1.5}', "`count` must be a whole number"),
        (b'{"op": "usage", "names": "a"}', "`names` must be a list of texts"),
        (b'{"op": "logs", "names": []}', "`names` must have one name"),
        (b'{"op": "logs", "names": ["a"], "follow": 1}', "`follow` must be true or false"),
        (b'{"op": "run"}', "`type` must be text"),
        (b'{"op": "run", "type": "c", "command": "ls"}', "`command` must be a list of texts, or null"),
        (b'{"op": "run", "type": "c", "command": []}', "`command` must be a list of texts, or null"),
        (b'{"op": "run", "type": "c", "command": ["a", 1]}', "`command` must be a list of texts, or null"),
        (b'{"op": "run", "type": "c", "env": {"A": 1}}', "`env` must be texts by name"),
        (b'{"op": "run", "type": "c", "env": []}', "`env` must be texts by name"),
        (b'{"op": "run", "type": "c", "secrets": {"A": "?"}}', "bytes must be base64"),
        (b'{"op": "run", "type": "c", "prompt": 7}', "bytes must be base64"),
        (b'{"op": "run", "type": "c", "prompt": "\\u00e9"}', "bytes must be base64"),
        (b'{"op": "run", "type": "c", "directory": null}', "`directory` must be text"),
        (b'{"op": "run", "type": "c", "limits": {"swap": 1}}', "`limits` may have memory_bytes"),
        (b'{"op": "run", "type": "c", "limits": {"cpus": "1"}}', "`limits.cpus` must be a number"),
        (b'{"op": "run", "type": "c", "timeout_s": NaN}', "`timeout_s` must be a number"),
        (b'{"op": "run", "type": "c", "timeout_s": -1}', "`timeout_s` must be a number"),
        (b'{"op": "run", "type": "c", "grace_s": true}', "`grace_s` must be a number"),
        (b'{"op": "run", "type": "c", "stream": 1}', "`stream` must be true or false"),
    ],
)
def test_anything_else_is_no_request(line: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_pool_request(line)


def test_while_a_task_runs_only_a_stop_is_heard() -> None:
    check_stop(STOP)
    for line in (b"", b'{"op": "status"}'):
        with pytest.raises(ProtocolError):
            check_stop(line)


def test_a_refusal_arrives_as_the_error_that_it_was() -> None:
    with pytest.raises(InputError) as caught:
        raise_refusal(json.loads(refusal(SettingError("--size", -1, "more"))), InfrastructureError)
    assert str(caught.value) == "--size: got -1, expected more"
    with pytest.raises(InfrastructureError) as failed:
        raise_refusal(json.loads(refusal(InfrastructureError("no", advice="Do."))), InfrastructureError)
    assert (failed.value.message, failed.value.advice, failed.value.exit_code) == ("no", "Do.", 3)


def test_a_drained_pool_is_told_from_one_that_is_away() -> None:
    said = json.loads(refusal(PoolDrained("drained", advice="Warm it.")))
    assert (said["code"], said["kind"]) == (3, "drained")
    with pytest.raises(PoolDrained) as caught:
        raise_refusal(said, InfrastructureError)
    assert str(caught.value) == "drained\nWarm it."
    del said["kind"]  # as an older server says it
    for kind in ({}, {"kind": "of tomorrow"}):
        with pytest.raises(InfrastructureError) as older:
            raise_refusal(said | kind, InfrastructureError)
        assert type(older.value) is InfrastructureError


def test_limits_that_are_said_go_over_those_of_the_agent_type() -> None:
    usual = Limits(memory_bytes=512 << 20, cpus=1.0, pids=100)
    assert TaskOrder(agent_type="coder").limits_over(usual) is None
    assert ORDER.limits_over(usual) == Limits(memory_bytes=64 << 20, cpus=0.5, pids=100)


# -- output on its way --


def told(outgoing: Outgoing) -> list[tuple[str, bytes | int]]:
    """All that is sent of a closed one."""
    found: list[tuple[str, bytes | int]] = []

    async def read() -> None:
        while (line := await outgoing.next_line()) is not None:
            value = json.loads(line)
            if "cut" in value:
                found.append((value["of"], value["cut"]))
            else:
                found.extend((stream, unpacked(text)) for stream, text in value.items())

    anyio.run(read)
    return found


def test_output_goes_in_its_order_and_small_pieces_go_together() -> None:
    outgoing = Outgoing(Room())
    for stream, data in (("stdout", b"a"), ("stdout", b"b"), ("stderr", b"c"), ("stdout", b"\xff")):
        outgoing(stream, data)
    outgoing.close()
    assert told(outgoing) == [("stdout", b"ab"), ("stderr", b"c"), ("stdout", b"\xff")]
    assert outgoing.cut == {}


def test_what_is_not_read_in_time_is_left_out_counted_and_told_in_its_place() -> None:
    room = Room()
    outgoing = Outgoing(room, bound=100 + PIECE_COST_BYTES)
    outgoing("stdout", b"x" * 90)
    for stream in ("stdout", "stderr", "stdout", "stderr", "stdout"):
        outgoing(stream, b"y" * 20)
    outgoing("stdout", b"z")  # there would be room for it, but output comes whole or with one gap, not with many
    assert (outgoing.cut, room.taken) == ({"stdout": 61, "stderr": 40}, 90 + PIECE_COST_BYTES)
    outgoing.close()
    assert told(outgoing) == [("stdout", b"x" * 90), ("stdout", 61), ("stderr", 40)]
    assert room.taken == 0


def test_it_goes_on_after_a_gap_once_half_is_free() -> None:
    outgoing = Outgoing(Room(), bound=10_000)
    outgoing("stdout", b"x" * 9_000)
    outgoing("stdout", b"y" * 2_000)

    async def read_one() -> bytes | None:
        return await outgoing.next_line()

    anyio.run(read_one)
    outgoing("stdout", b"z" * 2_000)
    outgoing.close()
    assert told(outgoing) == [("stdout", 2_000), ("stdout", b"z" * 2_000)]


def test_all_clients_share_one_room_and_one_that_goes_gives_its_part_back() -> None:
    room = Room(bound=10_000)
    first, second = Outgoing(room, bound=9_000), Outgoing(room, bound=9_000)
    first("stdout", b"x" * 8_000)
    second("stdout", b"y" * 3_000)
    assert (second.cut, room.taken) == ({"stdout": 3_000}, 8_000 + PIECE_COST_BYTES)
    first.drop()
    assert room.taken == 0
    second("stdout", b"z")
    second.close()
    assert told(second) == [("stdout", 3_000), ("stdout", b"z")]


def test_pieces_of_a_byte_cost_more_than_their_byte() -> None:
    outgoing = Outgoing(Room(), bound=10 * (1 + PIECE_COST_BYTES))
    for number in range(1_000):
        outgoing("stdout" if number % 2 else "stderr", b"x")
    assert sum(outgoing.cut.values()) == 990
