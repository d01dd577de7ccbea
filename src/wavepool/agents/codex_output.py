"""What the Codex CLI writes with ``--json``. Tried with 0.171.0."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wavepool.agents import jsonvalues as values
from wavepool.agents.endings import Problem, ended_early, ended_otherwise
from wavepool.agents.jsonlines import JsonLinesReader
from wavepool.agents.jsonvalues import Fields
from wavepool.agents.limits import limit_in, retry_in_s
from wavepool.model import AgentEvent, AgentEventKind, AgentReason, Tokens

_RETRY = re.compile(r"Reconnecting\.\.\. \d+/\d+")
_SAYS_NO_TOOL = {"agent_message", "reasoning", "error", "todo_list", ""}
_ADVICE = (
    (
        "401 Unauthorized",
        AgentReason.KEY_REFUSED,
        "its key was refused; give a valid one (--secret CODEX_API_KEY or --secret OPENAI_API_KEY)",
    ),
    ("Quota exceeded", AgentReason.NO_CREDIT, "its account has no credit left; top it up, or use another one"),
    (
        "high demand",
        AgentReason.SERVERS_FAILED,
        "the model's servers failed or were overloaded at each try; try again later",
    ),
    (
        "stream disconnected",
        AgentReason.CONNECTION_LOST,
        "its connection to the model broke at each try; see how it reaches its model",
    ),
)


class CodexReader(JsonLinesReader):
    """One attempt of the Codex CLI. A turn is one answer to a prompt, whatever it did for it: there is one of them."""

    def __init__(self) -> None:
        super().__init__("codex")
        self._completed = False
        self._failed = ""

    def read(self, fields: Fields) -> Iterator[AgentEvent]:
        match fields.get("type"):
            case "thread.started":
                self.told.session_id = values.text(fields, "thread_id") or self.told.session_id
                yield self.event(AgentEventKind.STARTED)
            case "turn.started":
                self._completed, self._failed = False, ""
                self.told.turns += 1
            case "item.started" | "item.completed":
                yield from self._item(values.inner(fields, "item"), done=fields["type"] == "item.completed")
            case "turn.completed":
                yield self._turn_completed(values.inner(fields, "usage"))
            case "turn.failed":
                yield self._turn_failed(values.text(values.inner(fields, "error"), "message"))
            case "error":
                yield self._error(values.text(fields, "message"))

    def problem(self, exit_code: int | None) -> str | Problem:
        if self._failed:
            return self._problem_of(self._failed)
        if not self._completed:
            return ended_early(
                "codex", exit_code, said=self.last_line(), began=self.objects > 0, result="completing its turn"
            )
        if exit_code not in (0, None):
            return ended_otherwise("codex", exit_code)
        return ""

    def _item(self, item: Fields, *, done: bool) -> Iterator[AgentEvent]:
        kind = values.text(item, "type")
        if kind == "agent_message" and done:
            self.told.final_text = values.text(item, "text") or self.told.final_text
            yield self.event(AgentEventKind.TEXT, values.text(item, "text"))
        elif kind == "error" and done:
            yield self.event(AgentEventKind.ERROR, self.told.error(values.text(item, "message")))
        elif kind not in _SAYS_NO_TOOL and done:
            yield self.event(AgentEventKind.TOOL, values.text(item, "tool") or kind)

    def _turn_completed(self, usage: Fields) -> AgentEvent:
        self._completed = True
        cached = values.count(usage, "cached_input_tokens")
        written = values.count(usage, "cache_write_input_tokens")
        self.told.more_tokens(
            Tokens(
                input=max(values.count(usage, "input_tokens") - cached - written, 0),
                output=values.count(usage, "output_tokens"),
                cache_read=cached,
                cache_write=written,
            )
        )
        return self.event(AgentEventKind.RESULT, self.told.final_text)

    def _turn_failed(self, message: str) -> AgentEvent:
        self._failed = message or "it did not say why"
        self._look_for_limit(message)
        self.told.error(message)
        return self.event(AgentEventKind.RESULT, self._problem_of(self._failed).words)

    def _error(self, message: str) -> AgentEvent:
        retries = _RETRY.match(message) is not None
        self.told.retries += retries
        if not retries:
            self.told.error(message)
        if self._look_for_limit(message):
            kind = AgentEventKind.RATE_LIMITED
        else:
            kind = AgentEventKind.RETRY if retries else AgentEventKind.ERROR
        return self.event(kind, message, resets_at=self.told.resets_at, retry_in_s=retry_in_s(message))

    def _look_for_limit(self, message: str) -> bool:
        limit = limit_in(message)
        self.told.limited = limit is not None
        self.told.resets_at = limit.resets_at if limit else None
        return limit is not None

    def _problem_of(self, message: str) -> Problem:
        if self.told.limited:
            until = f" until {self.told.resets_at:%Y-%m-%d %H:%M} UTC" if self.told.resets_at else ""
            return Problem(AgentReason.LIMIT, f"codex's account has reached its limit{until} (it said: {message})")
        known = ((reason, advice) for words, reason, advice in _ADVICE if words in message)
        reason, advice = next(known, (AgentReason.OTHER, "see its log"))
        return Problem(reason, f"codex ended with an error: {advice} (it said: {message})")
