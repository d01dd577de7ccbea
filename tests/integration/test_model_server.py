"""The model server: what it answers by its script, whole and streamed, to as many as ask."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from wavepool.testing.model_server import Answer, BadScript, Failure, ModelServer, Rule, Script, ToolUse, read_script

TOOLS = [{"name": "Write"}]
SCRIPT = Script(
    rules=(
        Rule(
            match=re.compile(r"write (?P<file>\S+)"),
            turns=(
                Answer(
                    text="I write ${file} " + "x" * 100,
                    tools=(ToolUse(name="Write", input={"file_path": "/workspace/${file}", "lines": ["${file}"]}),),
                    input_tokens=7,
                ),
                Answer(
                    text="done",
                    failures=(Failure(status=529), Failure(status=429, retry_after_s=2, resets_in_s=60)),
                    output_tokens=3,
                ),
            ),
        ),
        Rule(match=re.compile("slow"), turns=(Answer(text="at last", delay_s=0.3),)),
        Rule(match=re.compile("three of us"), turns=(Answer(text="all here", meets=3),)),
        Rule(match=re.compile("two of us"), turns=(Answer(text="never", meets=2, meets_within_s=0.05),)),
        Rule(match=re.compile("key"), turns=(Answer(failures=(Failure(status=401, should_retry=False),)),)),
    )
)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(SCRIPT) as made:
        yield made


def post(server: ModelServer, path: str, body: object) -> bytes:
    request = urllib.request.Request(f"{server.url}{path}", json.dumps(body).encode(), {"x-api-key": "dummy"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        raw: bytes = answer.read()
    return raw


def ask(server: ModelServer, *texts: str, **more: Any) -> Any:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": [{"type": "text", "text": text}]} for n, text in enumerate(texts)]
    body = {"model": "m", "max_tokens": 9, "messages": messages, "tools": TOOLS, **more}
    raw = post(server, "/v1/messages", body)
    return raw if more.get("stream") else json.loads(raw)


def failure(server: ModelServer, *texts: str) -> tuple[int, dict[str, Any], Message]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(server, *texts)
    return caught.value.code, json.loads(caught.value.read()), caught.value.headers


def test_the_turn_is_told_by_the_conversation_and_groups_are_filled_in(server: ModelServer) -> None:
    first = ask(server, "please write a.txt")
    assert (first["stop_reason"], first["usage"]["input_tokens"], first["model"]) == ("tool_use", 7, "m")
    text, tool = first["content"]
    assert text["text"].startswith("I write a.txt ")
    assert (tool["name"], tool["input"]) == ("Write", {"file_path": "/workspace/a.txt", "lines": ["a.txt"]})
    reminded = ask(server, "<system-reminder>write b</system-reminder>write c.txt")
    assert reminded["content"][1]["input"]["file_path"] == "/workspace/c.txt"
    assert ask(server, "unknown")["content"] == [{"type": "text", "text": "ok"}]
    assert ask(server, "write a.txt", tools=[])["content"] == [{"type": "text", "text": "ok"}]


def test_failures_come_once_each_for_a_conversation_with_their_headers(server: ModelServer) -> None:
    talk = ("write f.txt", "I write", "it is written")
    code, body, _ = failure(server, *talk)
    assert (code, body["error"]["type"]) == (529, "overloaded_error")
    code, body, headers = failure(server, *talk)
    assert (code, body["error"]["type"], headers["retry-after"]) == (429, "rate_limit_error", "2")
    assert headers["anthropic-ratelimit-unified-status"] == "rejected"
    assert int(headers["anthropic-ratelimit-unified-reset"]) > 1_700_000_000
    answer = ask(server, *talk)
    assert (answer["stop_reason"], answer["usage"]["output_tokens"]) == ("end_turn", 3)
    assert failure(server, "write other.txt", "I write", "it is written")[0] == 529


def test_a_stream_holds_the_same_in_pieces(server: ModelServer) -> None:
    raw = ask(server, "write s.txt", stream=True)
    events = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-2:], kinds.count("content_block_start")) == (
        "message_start",
        ["message_delta", "message_stop"],
        2,
    )
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    text = "".join(delta.get("text", "") for delta in deltas)
    tool = json.loads("".join(delta.get("partial_json", "") for delta in deltas))
    assert (text, tool["file_path"]) == ("I write s.txt " + "x" * 100, "/workspace/s.txt")
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_many_are_answered_at_once(server: ModelServer) -> None:
    before = len(server.received)
    threads = [threading.Thread(target=ask, args=(server, f"slow {n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    asked = server.received[before:]
    assert [each.status for each in asked] == [200] * 4
    assert max(each.running for each in asked) > 1


def test_those_who_meet_are_answered_when_all_are_there(server: ModelServer) -> None:
    before = len(server.received)
    threads = [threading.Thread(target=ask, args=(server, f"three of us, {n}")) for n in range(2)]
    for thread in threads:
        thread.start()
    while server.waiting(3) < 2:
        assert all(thread.is_alive() for thread in threads)
    assert len(server.received) == before
    server.meet(3, 30)
    for thread in threads:
        thread.join(30)
    assert [each.status for each in server.received[before:]] == [200, 200]
    code, body, _ = failure(server, "two of us")
    assert (code, body["error"]["message"]) == (400, "not 2 came within 0.05 s")
    with pytest.raises(threading.BrokenBarrierError):
        server.meet(2, 30)


def test_clients_are_told_whether_to_try_again(server: ModelServer) -> None:
    code, body, headers = failure(server, "my key")
    assert (code, body["error"]["type"], headers["x-should-retry"]) == (401, "authentication_error", "false")
    assert "x-should-retry" not in failure(server, "write x.txt", "I write", "it is written")[2]


def test_other_paths_are_answered_too(server: ModelServer) -> None:
    counted = json.loads(
        post(server, "/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "x" * 80}]})
    )
    assert counted["input_tokens"] > 20
    with urllib.request.urlopen(f"{server.url}/v1/models?limit=1", timeout=30) as answer:
        assert len(json.loads(answer.read())["data"]) == 3
    with pytest.raises(urllib.error.HTTPError, match="404"):
        post(server, "/v1/other", {})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(server, "/v1/messages", [])


def test_it_runs_by_hand_and_refuses_what_is_no_script(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"rules": [{"match": "hi", "turns": [{"text": "hello"}]}]}))
    command = [sys.executable, "-m", "wavepool.testing.model_server", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            body = {"messages": [{"role": "user", "content": "hi"}], "tools": TOOLS}
            request = urllib.request.Request(f"{url}/v1/messages", json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert json.loads(answer.read())["content"][0]["text"] == "hello"
        finally:
            process.terminate()
    script.write_text('{"rules": [{"match": "("}]}')
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, "turns" in refused.stderr or "unterminated" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"rules": [{}]}', '{"rules": [{"match": "x", "turns": []}]}', '{"otherwise": {"txt": "a"}}'],
)
def test_bad_scripts_are_told(text: str) -> None:
    with pytest.raises(BadScript):
        read_script(text)
