"""An answer as the Messages API writes it: one JSON object, or a stream of server-sent events. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from wavepool.testing.model_server.script import Answer, Failure

PIECE_CHARACTERS = 40
"""Text and the input of tools are streamed in pieces of this length."""

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def whole(answer: Answer, *, message_id: str, model: str) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _blocks(answer, message_id),
        "stop_reason": stop_reason(answer),
        "stop_sequence": None,
        "usage": _usage(answer, answer.output_tokens),
    }


def events(answer: Answer, *, message_id: str, model: str) -> Iterator[bytes]:
    """The same as a stream, event by event."""
    begun = whole(answer, message_id=message_id, model=model)
    begun |= {"content": [], "stop_reason": None, "usage": _usage(answer, 1)}
    yield _event("message_start", message=begun)
    yield _event("ping")
    for index, block in enumerate(_blocks(answer, message_id)):
        yield from _block_events(index, block)
    yield _event(
        "message_delta",
        delta={"stop_reason": stop_reason(answer), "stop_sequence": None},
        usage=_usage(answer, answer.output_tokens),
    )
    yield _event("message_stop")


def failure_body(failure: Failure) -> dict[str, Any]:
    """The body of an answer with an error status."""
    kind = ERROR_TYPES.get(failure.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": failure.message}}


def failure_headers(failure: Failure, now_s: float) -> dict[str, str]:
    """Its headers. `now_s`: seconds since the epoch."""
    headers: dict[str, str] = {}
    if failure.retry_after_s is not None:
        headers["retry-after"] = f"{failure.retry_after_s:g}"
    if failure.should_retry is not None:
        headers["x-should-retry"] = str(failure.should_retry).lower()
    if failure.resets_in_s is not None:
        headers["anthropic-ratelimit-unified-status"] = "rejected"
        headers["anthropic-ratelimit-unified-reset"] = str(int(now_s + failure.resets_in_s))
        headers["anthropic-ratelimit-unified-representative-claim"] = "five_hour"
    return headers


def stop_reason(answer: Answer) -> str:
    """Why the model stops: it waits for tools, or it is done."""
    return "tool_use" if answer.tools else "end_turn"


def _blocks(answer: Answer, message_id: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.text or not answer.tools:
        blocks.append({"type": "text", "text": answer.text})
    for number, tool in enumerate(answer.tools):
        tool_id = f"toolu_{message_id.removeprefix('msg_')}_{number}"
        blocks.append({"type": "tool_use", "id": tool_id, "name": tool.name, "input": dict(tool.input)})
    return blocks


def _block_events(index: int, block: Mapping[str, Any]) -> Iterator[bytes]:
    empty: dict[str, Any]
    if block["type"] == "text":
        empty, text, kind, key = {"type": "text", "text": ""}, block["text"], "text_delta", "text"
    else:
        empty, text = {**block, "input": {}}, json.dumps(block["input"])
        kind, key = "input_json_delta", "partial_json"
    yield _event("content_block_start", index=index, content_block=empty)
    for start in range(0, len(text), PIECE_CHARACTERS):
        delta = {"type": kind, key: text[start : start + PIECE_CHARACTERS]}
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _usage(answer: Answer, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens,
        "output_tokens": output_tokens,
        "cache_creation_input_tokens": answer.cache_write_tokens,
        "cache_read_input_tokens": answer.cache_read_tokens,
        "service_tier": "standard",
    }


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
