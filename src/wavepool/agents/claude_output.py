"""What the Claude CLI writes with ``--output-format`` ``stream-json`` or ``json``. Tried with 2.1.197.

Of each message there are several lines, one for each of its parts, which repeat the usage of the whole message. The
tokens of a line are those at the message's beginning: what it wrote is known at the end only. What it costs is told
once, in the result.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator

from wavepool.agents import jsonvalues as values
from wavepool.agents.endings import Problem, ended_early, ended_otherwise
from wavepool.agents.jsonlines import JsonLinesReader
from wavepool.agents.jsonvalues import Fields
from wavepool.agents.limits import limit_in
from wavepool.model import AgentEvent, AgentEventKind, AgentReason, Tokens

SYNTHETIC = "<synthetic>"
"""The model of a message that the CLI wrote itself, to tell of an error."""
TOO_MANY_REQUESTS = 429
_MESSAGES_KNOWN = 256
_OLD_LIMIT = re.compile(r"Claude AI usage limit reached\|\d+")
"""The whole result of an older CLI at a limit, which may not call it an error."""
_RESULT_BEGINS = b'{"type":"result"'

_KEY_REFUSED = Problem(
    AgentReason.KEY_REFUSED,
    "its key was refused; give a valid one (--secret ANTHROPIC_API_KEY or --secret CLAUDE_CODE_OAUTH_TOKEN)",
)
_NO_CREDIT = Problem(AgentReason.NO_CREDIT, "its account has no credit left; top it up, or use another one")
_SERVERS_FAILED = Problem(
    AgentReason.SERVERS_FAILED, "the model's servers failed or were overloaded at each try; try again later"
)
_NO_MODEL = Problem(AgentReason.NO_MODEL, "there is no such model for this account; name another one (--model)")
_UNKNOWN = Problem(AgentReason.OTHER, "see its log")
_OF_STATUS = {401: _KEY_REFUSED, 403: _KEY_REFUSED, 404: _NO_MODEL, 529: _SERVERS_FAILED}
_OF_ERROR = {
    "authentication_failed": _KEY_REFUSED,
    "oauth_org_not_allowed": _KEY_REFUSED,
    "billing_error": _NO_CREDIT,
    "model_not_found": _NO_MODEL,
    "overloaded": _SERVERS_FAILED,
    "server_error": _SERVERS_FAILED,
}
_LASTING = frozenset({_KEY_REFUSED, _NO_CREDIT, _NO_MODEL})
"""What trying again does not mend, and yet the CLI tries again for minutes."""
_OF_SUBTYPE = {
    "error_max_turns": Problem(
        AgentReason.TURNS_SPENT, "it used up the turns that it may have; give it more (--max-turns), or a smaller task"
    ),
    "error_max_budget_usd": Problem(
        AgentReason.MONEY_SPENT, "it used up the money that it may cost; give it more (--max-cost), or a smaller task"
    ),
    "error_max_structured_output_retries": Problem(
        AgentReason.BAD_ANSWER, "its answer did not fit the schema that was asked for"
    ),
    "error_during_execution": Problem(
        AgentReason.FAILED_AT_WORK, "something failed while it worked, or it was interrupted"
    ),
}


class ClaudeReader(JsonLinesReader):
    """One attempt of the Claude CLI."""

    def __init__(self) -> None:
        super().__init__("claude")
        self._usages: OrderedDict[str, Tokens] = OrderedDict()
        self._heard = Tokens()
        self._heard_turns = 0
        self._own_input = 0
        self._error_kind = ""
        self._told_lasting = False
        self._result: Fields | None = None

    def read(self, fields: Fields) -> Iterator[AgentEvent]:
        match fields.get("type"):
            case "system":
                yield from self._system(fields)
            case "assistant":
                yield from self._assistant(fields)
            case "rate_limit_event":
                yield from self._limit_event(values.inner(fields, "rate_limit_info"))
            case "result":
                yield from self._ended(fields)

    def problem(self, exit_code: int | None) -> str | Problem:
        result = self._result
        if result is None:
            return ended_early(
                "claude", exit_code, said=self.last_line(), began=self.objects > 0, result="its result line"
            )
        if not _succeeded(result):
            return self._problem_of(result)
        if self._cut_off(result):
            words = "the last answer of claude's model was cut off, and claude took it for whole; try again"
            return Problem(AgentReason.CUT_OFF, words)
        if exit_code not in (0, None):
            return ended_otherwise("claude", exit_code)
        return ""

    def cut_line(self, tail: bytes) -> Fields | None:
        """The result, which is the last object of the one line that ``json`` with ``--verbose`` writes."""
        text = tail[max(tail.rfind(_RESULT_BEGINS), 0) :].decode("utf-8", "replace")
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return None
        whole = text[end:].strip() in ("", "]")  # else it stands inside of something that the agent wrote
        return value if whole and isinstance(value, dict) and value.get("type") == "result" else None

    def _system(self, fields: Fields) -> Iterator[AgentEvent]:
        told = self.told
        if fields.get("subtype") == "init":
            first = told.session_id is None
            told.session_id = values.text(fields, "session_id") or told.session_id
            told.model = values.text(fields, "model") or told.model
            if first:
                yield self.event(AgentEventKind.STARTED, told.model or "")
        elif fields.get("subtype") == "api_retry":
            yield self._retry(fields)

    def _retry(self, fields: Fields) -> AgentEvent:
        self.told.retries += 1
        status = values.count(fields, "error_status")
        delay_ms = values.number(fields, "retry_delay_ms")
        of = f" of {values.count(fields, 'max_retries')}" if values.count(fields, "max_retries") else ""
        why = values.text(fields, "error") or "unknown"
        shown = f"{why} ({status})" if status else f"{why} (no answer)"
        shown += f": retry {values.count(fields, 'attempt')}{of}"
        limited = status == TOO_MANY_REQUESTS or why == "rate_limit"
        kind = AgentEventKind.RATE_LIMITED if limited else AgentEventKind.RETRY
        problem = _OF_ERROR.get(why) or _OF_STATUS.get(status)
        if problem in _LASTING and not limited and not self._told_lasting:
            self._told_lasting = True
            kind, shown = AgentEventKind.ERROR, f"{shown}; {problem.words}"
        return self.event(kind, shown, retry_in_s=None if delay_ms is None else delay_ms / 1000)

    def _assistant(self, fields: Fields) -> Iterator[AgentEvent]:
        message = values.inner(fields, "message")
        if fields.get("error") or message.get("model") == SYNTHETIC:
            yield from self._error_message(fields, message)
            return
        self._count(message, own=fields.get("parent_tool_use_id") is None)
        content = message.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        for part in values.objects(content):
            if part.get("type") == "text" and values.text(part, "text").strip():
                self.told.final_text = values.text(part, "text")
                yield self.event(AgentEventKind.TEXT, self.told.final_text)
            elif part.get("type") == "tool_use":
                yield self.event(AgentEventKind.TOOL, values.text(part, "name"))

    def _count(self, message: Fields, *, own: bool) -> None:
        """Count a message once, its usage being the greatest of its lines; `own` is False for those of a subagent."""
        key = values.text(message, "id")
        if not key:
            return
        known = self._usages.pop(key, None)
        usage = _greater(known or Tokens(), _usage(values.inner(message, "usage")))
        self._usages[key] = usage
        if len(self._usages) > _MESSAGES_KNOWN:
            self._usages.popitem(last=False)
        if known is None and own:
            self._heard_turns += 1
            self.told.turns = max(self.told.turns, self._heard_turns)
        more = _difference(usage, known or Tokens())
        self._heard = _sum(self._heard, more)
        self._own_input += _input(more) if own else 0
        self.told.more_tokens(self._heard)

    def _error_message(self, fields: Fields, message: Fields) -> Iterator[AgentEvent]:
        words = " ".join(values.text(part, "text") for part in values.objects(message.get("content")))
        self._error_kind = values.text(fields, "error")
        if not self._error_kind and limit_in(words) is None:
            return  # a notice, as that there was nothing to answer
        line = self.told.error(words or self._error_kind)
        if self._error_kind == "rate_limit" or limit_in(words) is not None:
            self._reached_limit(words)
            yield self.event(AgentEventKind.RATE_LIMITED, line, resets_at=self.told.resets_at)
        else:
            yield self.event(AgentEventKind.ERROR, line)

    def _limit_event(self, info: Fields) -> Iterator[AgentEvent]:
        if info.get("status") != "rejected" or info.get("isUsingOverage") is True:
            return
        self.told.resets_at = values.moment(values.number(info, "resetsAt")) or self.told.resets_at
        which = values.text(info, "rateLimitType").replace("_", " ")
        yield self.event(
            AgentEventKind.RATE_LIMITED, f"{which or 'usage'} limit reached", resets_at=self.told.resets_at
        )

    def _reached_limit(self, words: str) -> None:
        limit = limit_in(words)
        self.told.limited = True
        if limit is not None and limit.resets_at is not None:
            self.told.resets_at = limit.resets_at

    def _ended(self, result: Fields) -> Iterator[AgentEvent]:
        self._result = result
        told = self.told
        told.session_id = values.text(result, "session_id") or told.session_id
        told.turns = max(self._heard_turns, _turns(result))
        told.more_tokens(max(_usage(values.inner(result, "usage")), _of_models(result), key=lambda each: each.total))
        cost_usd = values.number(result, "total_cost_usd")
        told.cost_usd = told.cost_usd if cost_usd is None else cost_usd
        words = values.text(result, "result")
        told.final_text = words or told.final_text
        told.limited = not _succeeded(result) and self._is_limit(result, words)
        for error in values.texts(result.get("errors")):
            told.error(error)
        if not _succeeded(result):
            told.error(words)
        words = told.final_text if _succeeded(result) else self._problem_of(result).words
        yield self.event(AgentEventKind.RESULT, words)

    def _cut_off(self, result: Fields) -> bool:
        """True where a connection broke within the last answer: it has no reason to stop, and its usage is missing.

        Tried with 2.1.197, which tells of success then.
        """
        if result.get("stop_reason", "not told") is not None:
            return False
        told = max(_input(_usage(values.inner(result, "usage"))), _input(_of_models(result)))
        return self._own_input > told

    def _is_limit(self, result: Fields, words: str) -> bool:
        limited = values.count(result, "api_error_status") == TOO_MANY_REQUESTS or limit_in(words) is not None
        if limited:
            self._reached_limit(words)
        return limited

    def _problem_of(self, result: Fields) -> Problem:
        subtype = values.text(result, "subtype") or "no subtype"
        errors = "; ".join(values.texts(result.get("errors")))
        said = (errors if subtype != "success" else "") or values.text(result, "result") or errors or subtype
        if self.told.limited:
            until = f" until {self.told.resets_at:%Y-%m-%d %H:%M} UTC" if self.told.resets_at else ""
            return Problem(AgentReason.LIMIT, f"claude's account has reached its limit{until} (it said: {said})")
        if subtype != "success":
            known = _OF_SUBTYPE.get(subtype, _UNKNOWN)
            return Problem(known.reason, f"claude ended with {subtype}: {known.words} (it said: {said})")
        status = values.count(result, "api_error_status")
        why = _OF_ERROR.get(self._error_kind) or _OF_STATUS.get(status)
        if why is None and status >= 500:
            why = _SERVERS_FAILED
        why = why or _UNKNOWN
        return Problem(why.reason, f"claude ended with an error: {why.words} (it said: {said})")


def _succeeded(result: Fields) -> bool:
    if result.get("is_error") is not False or result.get("subtype") != "success":
        return False
    return _OLD_LIMIT.fullmatch(values.text(result, "result").strip()) is None


def _input(tokens: Tokens) -> int:
    return tokens.input + tokens.cache_read + tokens.cache_write


def _turns(result: Fields) -> int:
    """At the bound of turns it counts the one that it did not take as well."""
    told = values.count(result, "num_turns")
    return max(told - 1, 0) if result.get("subtype") == "error_max_turns" else told


def _usage(usage: Fields) -> Tokens:
    return Tokens(
        input=values.count(usage, "input_tokens"),
        output=values.count(usage, "output_tokens"),
        cache_read=values.count(usage, "cache_read_input_tokens"),
        cache_write=values.count(usage, "cache_creation_input_tokens"),
    )


def _of_models(result: Fields) -> Tokens:
    """All models together, those of subagents too, which ``usage`` may leave out."""
    total = Tokens()
    for usage in values.objects(list(values.inner(result, "modelUsage").values())):
        mine = Tokens(
            input=values.count(usage, "inputTokens"),
            output=values.count(usage, "outputTokens"),
            cache_read=values.count(usage, "cacheReadInputTokens"),
            cache_write=values.count(usage, "cacheCreationInputTokens"),
        )
        total = _sum(total, mine)
    return total


def _greater(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        input=max(one.input, other.input),
        output=max(one.output, other.output),
        cache_read=max(one.cache_read, other.cache_read),
        cache_write=max(one.cache_write, other.cache_write),
    )


def _sum(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        input=one.input + other.input,
        output=one.output + other.output,
        cache_read=one.cache_read + other.cache_read,
        cache_write=one.cache_write + other.cache_write,
    )


def _difference(more: Tokens, less: Tokens) -> Tokens:
    return Tokens(
        input=more.input - less.input,
        output=more.output - less.output,
        cache_read=more.cache_read - less.cache_read,
        cache_write=more.cache_write - less.cache_write,
    )
