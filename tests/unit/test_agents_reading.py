"""Output that no CLI should write, and some does: garbage, halves, floods, and any bytes in any pieces."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.agents import AgentReader, adapter
from wavepool.agents.base import ERRORS_MAX, FINAL_TEXT_MAX_CHARACTERS, LINE_MAX_BYTES, TEXT_MAX_CHARACTERS
from wavepool.agents.jsonlines import UNREADABLE_TOLD
from wavepool.agents.limits import limit_in, retry_in_s
from wavepool.agents.lines import LineSplitter
from wavepool.agents.wording import last_words, one_line
from wavepool.model import AgentEvent, AgentEventKind, AgentOrder, AgentReport

OUTPUTS = sorted((Path(__file__).parent / "agent_outputs").glob("*.jsonl"))
AGENTS = ("claude", "codex", "command")
INIT = {"type": "system", "subtype": "init", "session_id": "s", "model": "m"}
RESULT = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": "done", "usage": {}}


def reader_of(agent: str = "claude") -> AgentReader:
    return adapter(agent).reader(AgentOrder(name=agent))


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def read(data: bytes, exit_code: int | None = 0, agent: str = "claude") -> tuple[list[AgentEvent], AgentReport]:
    reader = reader_of(agent)
    return reader.feed(data), reader.report(exit_code)


def message(text: str = "", *, key: str = "m1", parent: str | None = None, **usage: int) -> dict[str, Any]:
    inside = {"id": key, "model": "m", "content": [{"type": "text", "text": text}], "usage": usage}
    return {"type": "assistant", "message": inside, "parent_tool_use_id": parent}


def test_an_error_with_the_subtype_success_is_none() -> None:
    _, told = read(lines(INIT, RESULT | {"is_error": True, "result": "API Error: 500 oops", "api_error_status": 500}))
    assert told.succeeded is False
    assert "servers failed" in told.problem


@pytest.mark.parametrize("is_error", [None, 0, "false", True])
def test_only_a_false_that_is_one_is_no_error(is_error: object) -> None:
    assert read(lines(INIT, RESULT | {"is_error": is_error}))[1].succeeded is False
    assert read(lines(INIT, {k: v for k, v in RESULT.items() if k != "is_error"}))[1].succeeded is False


def test_the_last_result_counts() -> None:
    failed = RESULT | {"subtype": "error_during_execution", "is_error": True, "errors": ["it broke"]}
    assert read(lines(INIT, failed, RESULT))[1].succeeded is True
    told = read(lines(INIT, RESULT, failed))[1]
    assert told.succeeded is False
    assert "it broke" in told.problem


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (0, "ended with exit code 0 without its result line: it was interrupted, or its output was cut off"),
        (1, "ended with exit code 1 without its result line: its work was cut short"),
        (130, "was ended by signal 2 without its result line"),
        (137, "was ended by signal 9 without its result line"),
        (None, "its exit code unknown, without its result line"),
    ],
)
def test_without_a_result_line_it_says_how_it_ended(exit_code: int | None, words: str) -> None:
    _, told = read(lines(INIT, message("half way", output_tokens=3)), exit_code)
    assert told.succeeded is False
    assert words in told.problem
    assert (told.turns, told.tokens.output, told.final_text) == (1, 3, "half way")


def test_nothing_at_all_is_no_success() -> None:
    assert read(b"")[1].succeeded is False
    assert read(b"", agent="codex")[1].succeeded is False
    assert read(b"", agent="command")[1].succeeded is None


@pytest.mark.parametrize(("exit_code", "words"), [(126, "could not be run"), (127, "was not found")])
def test_a_program_that_is_not_there_is_told_with_what_brings_it(exit_code: int, words: str) -> None:
    reader = reader_of()
    reader.feed_stderr(b"claude: 1: exec: claude: not found\n")
    told = reader.report(exit_code)
    assert f"claude {words} where the task ran (it said: " in told.problem
    assert "wavepool image build" in told.problem


def test_stderr_gives_the_words_and_never_the_verdict() -> None:
    reader = reader_of()
    reader.feed_stderr(b"error: unknown option '--nope'\nsee --help\n")
    assert "(it said: error: unknown option '--nope')" in reader.report(1).problem
    noisy = reader_of()
    noisy.feed_stderr(b"fatal error\n" * 100_000)
    noisy.feed(lines(INIT, RESULT))
    assert noisy.report(0).succeeded is True


def test_root_is_told_as_what_it_is() -> None:
    reader = reader_of()
    reader.feed_stderr(b"--dangerously-skip-permissions cannot be used with root/sudo privileges\n")
    assert "does not work as root" in reader.report(1).problem


def test_other_lines_between_its_own_do_no_harm() -> None:
    noise = b"warning: slow\r\n\xff\xfe\n{broken\n[1, 2]\nnull\n\x1b[?25h\n\n"
    events, told = read(noise + lines(INIT) + noise + lines(message("hi")) + b"(node) notice\n" + lines(RESULT) + noise)
    assert told.succeeded is True
    assert told.final_text == "done"
    unreadable = [event.text for event in events if event.kind is AgentEventKind.UNREADABLE]
    assert unreadable[:2] == ["warning: slow", "\N{REPLACEMENT CHARACTER}" * 2]


def test_a_flood_of_garbage_is_told_a_few_times() -> None:
    events, told = read(b"no json\n" * 100_000 + lines(INIT, RESULT))
    assert len([event for event in events if event.kind is AgentEventKind.UNREADABLE]) == UNREADABLE_TOLD
    assert told.succeeded is True


def test_half_a_result_is_none_and_one_without_a_line_end_is_one() -> None:
    data = lines(INIT, RESULT)
    assert read(data[:-20])[1].succeeded is False
    assert read(data[:-1])[1].succeeded is True


def test_a_reader_can_be_asked_twice() -> None:
    reader = reader_of()
    reader.feed(lines(INIT, RESULT)[:-1])
    assert reader.report(0) == reader.report(0)


def test_a_line_that_is_too_long_is_told_and_the_next_ones_are_read() -> None:
    huge = b'{"type":"user","x":"' + b"y" * LINE_MAX_BYTES + b'"}\n'
    events, told = read(lines(INIT) + huge + lines(message("on"), RESULT))
    assert [event.text for event in events if event.kind is AgentEventKind.UNREADABLE] == [
        f"a line of {len(huge) - 1} bytes, which is too long to be read"
    ]
    assert told.succeeded is True


def test_the_result_at_the_end_of_one_huge_array_is_found() -> None:
    filler = {"type": "user", "message": {"content": "y" * LINE_MAX_BYTES}}
    whole = json.dumps([INIT, filler, RESULT | {"result": "at the end"}], separators=(",", ":")).encode()
    assert read(whole + b"\n")[1].final_text == "at the end"
    assert read(whole)[1].succeeded is True


def test_a_result_that_the_agent_wrote_itself_into_a_huge_line_is_none() -> None:
    planted = {"type": "assistant", "message": {"content": ["y" * LINE_MAX_BYTES, RESULT]}}
    assert read(json.dumps(planted, separators=(",", ":")).encode() + b"\n")[1].succeeded is False


def test_a_message_counts_once_however_many_lines_it_has_and_whoever_comes_between() -> None:
    own = [message(key="m1", input_tokens=10, output_tokens=n) for n in (1, 1, 7)]
    other = message(key="sub", parent="tool", input_tokens=100)
    told = read(lines(INIT, own[0], other, own[1], other, own[2]), 1)[1]
    assert (told.turns, told.tokens.input, told.tokens.output) == (1, 110, 7)


def test_what_was_used_never_gets_less() -> None:
    events, told = read(lines(INIT, message("x", input_tokens=500), RESULT | {"usage": {"input_tokens": 3}}))
    assert told.tokens.input == 500
    assert [event.tokens.total for event in events] == sorted(event.tokens.total for event in events)


def test_costs_are_told_and_never_guessed() -> None:
    assert read(lines(INIT, message("x", input_tokens=10**6)), 1)[1].cost_usd is None
    assert read(lines(INIT, RESULT | {"total_cost_usd": 1.5}))[1].cost_usd == 1.5
    for odd in (-1, "1", True, 1e300, None):
        assert read(lines(INIT, RESULT | {"total_cost_usd": odd}))[1].cost_usd is None
    assert (
        read(b'{"type":"result","total_cost_usd":NaN}\n{"type":"result","total_cost_usd":Infinity}\n')[1].cost_usd
        is None
    )


def test_output_as_text_at_the_users_wish_tells_nothing_but_its_end() -> None:
    reader = adapter("claude").reader(AgentOrder(name="claude", flags=("--output-format", "text")))
    assert reader.feed(b"All done.\n") == []
    told = reader.report(0)
    assert (told.succeeded, told.final_text, told.agent) == (None, "All done.", "claude")


def test_a_usage_limit_of_an_old_cli_is_one_with_its_reset() -> None:
    for told_as in ({"is_error": True}, {"is_error": False}):
        told = read(lines(INIT, RESULT | told_as | {"result": "Claude AI usage limit reached|1795768782"}), 1)[1]
        assert (told.succeeded, told.rate_limited) == (False, True)
        assert told.resets_at == datetime.fromtimestamp(1795768782, UTC)


def test_a_model_that_speaks_of_limits_has_none() -> None:
    text = "I fixed the 429 handling: usage limit reached|1795768782 is shown now"
    events, told = read(lines(INIT, message(text), RESULT | {"result": text}))
    assert (told.succeeded, told.rate_limited, told.resets_at) == (True, False, None)
    assert AgentEventKind.RATE_LIMITED not in [event.kind for event in events]


@pytest.mark.parametrize(
    ("error", "resets_at"),
    [
        ("You've hit your session limit · resets 3pm (Europe/Warsaw)", None),
        ("5-hour limit reached ∙ resets 3pm", None),
        ("API Error: 429 too many", None),
        ("Claude AI usage limit reached|1795768782000", datetime(2026, 11, 27, 8, 39, 42, tzinfo=UTC)),
        ("Claude AI usage limit reached|999999999", datetime(2001, 9, 9, 1, 46, 39, tzinfo=UTC)),
        (
            "You’ve hit your usage limit. Try again at Nov 30th, 2026 4:35 PM.",
            datetime(2026, 11, 30, 16, 35, tzinfo=UTC),
        ),
        ("You’ve hit your usage limit. Try again at Feb 31st, 2026 12:00 AM.", None),
    ],
)
def test_words_of_limits(error: str, resets_at: datetime | None) -> None:
    limit = limit_in(error)
    assert limit is not None
    assert limit.resets_at == resets_at


@pytest.mark.parametrize(
    "error", ["", "Credit balance is too low", "API Error: 529 Overloaded", "took 4290 ms", "429ms"]
)
def test_words_of_other_errors(error: str) -> None:
    assert limit_in(error) is None


@pytest.mark.parametrize(
    ("error", "seconds"), [("try again in 1.5s", 1.5), ("Try again in 250ms.", 0.25), ("later", None)]
)
def test_words_of_delays(error: str, seconds: float | None) -> None:
    assert retry_in_s(error) == seconds


def test_texts_are_bounded_and_fit_for_a_terminal_and_a_journal() -> None:
    nasty = "\x1b[31mred\x1b[0m \ud800 \x00 " + "long " * 100_000
    events, told = read(
        lines(INIT, message(nasty), RESULT | {"is_error": True, "result": nasty, "errors": [nasty] * 99})
    )
    for text in (*(event.text for event in events), told.problem, *told.errors, told.final_text):
        text.encode()
        assert "\x1b" not in text
        assert "\x00" not in text
    assert all(len(event.text) <= TEXT_MAX_CHARACTERS and "\n" not in event.text for event in events)
    assert len(told.final_text) <= FINAL_TEXT_MAX_CHARACTERS
    assert len(told.errors) <= ERRORS_MAX


def test_the_end_of_a_long_text_is_what_is_kept_of_it() -> None:
    assert last_words("a" * 90_000 + "the end", 20) == "…" + "a" * 12 + "the end"
    assert one_line("  one\n two ") == "one two"
    assert one_line("abcdef", 4) == "abc…"


# -- anything at all --

pieces = st.lists(st.integers(min_value=0, max_value=10_000), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted(
    {
        "type",
        "subtype",
        "message",
        "content",
        "usage",
        "id",
        "model",
        "result",
        "errors",
        "is_error",
        "num_turns",
        "item",
    }
    | {"total_cost_usd", "rate_limit_info", "resetsAt", "status", "error", "error_status", "retry_delay_ms", "attempt"}
    | {
        "modelUsage",
        "input_tokens",
        "stop_reason",
        "api_error_status",
        "session_id",
        "thread_id",
        "text",
        "name",
        "tool",
    }
)
TYPES = [
    "system",
    "assistant",
    "result",
    "rate_limit_event",
    "text",
    "tool_use",
    "init",
    "api_retry",
    "rejected",
    "success",
]
TYPES += ["item.completed", "turn.completed", "turn.failed", "error", "thread.started", "agent_message", "<synthetic>"]
likely = st.recursive(
    json_values | st.sampled_from(TYPES),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=20,
)
likely_lines = st.lists(likely, max_size=5).map(lambda values: lines(*values))
some_bytes = st.one_of(
    st.binary(max_size=300),
    likely_lines,
    st.sampled_from(OUTPUTS).map(Path.read_bytes),
    st.tuples(likely_lines, st.binary(max_size=20), likely_lines).map(b"".join),
)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


@settings(max_examples=150, deadline=None)
@given(agent=st.sampled_from(AGENTS), data=some_bytes, cuts=pieces, exit_code=st.none() | st.integers(0, 255))
def test_any_bytes_in_any_pieces_are_told_the_same_and_nothing_is_raised(
    agent: str, data: bytes, cuts: list[int], exit_code: int | None
) -> None:
    whole, parts = reader_of(agent), reader_of(agent)
    events = whole.feed(data)
    assert [event for piece in in_pieces(data, cuts) for event in parts.feed(piece)] == events
    told = whole.report(exit_code)
    assert parts.report(exit_code) == told
    assert bool(told.problem) == (told.succeeded is False)
    assert not (told.rate_limited and told.succeeded)
    json.dumps([told.problem, told.final_text, told.errors, told.session_id, told.model]).encode()


@given(data=st.lists(st.sampled_from([b"\n", b"a", b"bc"]), max_size=60).map(b"".join), cuts=pieces)
def test_lines_are_the_same_however_they_were_split(data: bytes, cuts: list[int]) -> None:
    splitter = LineSplitter(max_bytes=5, tail_bytes=3)
    found = [line for piece in in_pieces(data, cuts) for line in splitter.feed(piece)]
    *expected, rest = data.split(b"\n")
    assert [line.size_bytes for line in found] == [len(line) for line in expected]
    assert [line.data for line in found] == [line if len(line) <= 5 else line[-3:] for line in expected]
    last = splitter.finish()
    assert (last.size_bytes if last else 0) == len(rest)
    assert splitter.finish() is None


def test_what_a_reader_holds_is_bounded() -> None:
    """64 MiB on one line, then a flood of messages, each with an id, a text and an error of its own."""
    reader = reader_of()
    block = b"x" * (1 << 20)
    tracemalloc.start()
    try:
        for _ in range(64):
            reader.feed(block)
        reader.feed(b"\n")
        for n in range(3000):
            reader.feed(lines(message("text " * 100, key=f"m{n}"), {"type": "error", "message": "no " * n}))
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * LINE_MAX_BYTES
    assert held < 1 << 20
