"""What the model answers: rules over the first words of a conversation, each with its turns. Pure.

The number of answers that a conversation already holds says which turn is next, so any number of agents may talk at
once, and one that begins anew gets the same answers. As JSON::

    {"rules": [{"match": "write (?P<file>[a-z.]+)",
                "turns": [{"tools": [{"name": "Write", "input": {"file_path": "/workspace/${file}", "content": "hi"}}]},
                          {"text": "done", "delay_s": 0.2, "failures": [{"status": 529}]}]}],
     "otherwise": {"text": "ok"}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any, Self


class BadScript(ValueError):
    """The script is not one; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool that the model calls. Texts of `input` may name groups of the rule's pattern: ``${file}``."""

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is answered instead, once; the client is expected to ask again.

    Attributes:
        status: HTTP status: 429, 529, 500, ...
        retry_after_s: header ``retry-after``; None for none.
        resets_in_s: headers that say that the account's limit ends so many seconds from now; None for none.
        should_retry: header ``x-should-retry``, which the API's clients obey; None for none.
    """

    status: int
    retry_after_s: float | None = None
    resets_in_s: float | None = None
    should_retry: bool | None = None
    message: str = "as the script says"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One turn of the model.

    Attributes:
        text: what it says; may name groups, as tools may.
        tools: that it calls; with any the turn ends in ``tool_use``, without in ``end_turn``.
        delay_s: until the answer begins. `pace_s`: between its pieces, where it is streamed.
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens: what it says that it cost.
        failures: what is answered before it, each once for each conversation.
        meets: it is given only when so many wait for such an answer at once, `ModelServer.meet` counting as one; 0
            for at once. Where they do not come in `meets_within_s` the answer is 400, to this and all later ones.
    """

    text: str = ""
    tools: tuple[ToolUse, ...] = ()
    delay_s: float = 0.0
    pace_s: float = 0.0
    input_tokens: int = 100
    output_tokens: int = 20
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    failures: tuple[Failure, ...] = ()
    meets: int = 0
    meets_within_s: float = 120.0

    def filled(self, groups: Mapping[str, str]) -> Self:
        """With what the groups matched in place of their names."""
        tools = tuple(ToolUse(name=tool.name, input=_filled(tool.input, groups)) for tool in self.tools)
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return type(self)(**values | {"text": _filled(self.text, groups), "tools": tools})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Conversations whose first message of the user matches (anywhere in it), and what they are answered, in turn.

    The last turn is repeated.
    """

    match: re.Pattern[str]
    turns: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """All of it. `otherwise`: what no rule fits, and what is asked without tools: titles, summaries, tests of a key."""

    rules: tuple[Rule, ...] = ()
    otherwise: Answer = field(default_factory=lambda: Answer(text="ok"))

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """What a request to ``/v1/messages`` is answered."""
        messages = request.get("messages") or []
        if not request.get("tools"):
            return self.otherwise
        first = next((text_of(each) for each in messages if each.get("role") == "user"), "")
        for rule in self.rules:
            if (found := rule.match.search(first)) is not None:
                turn = sum(1 for each in messages if each.get("role") == "assistant")
                groups = {name: value or "" for name, value in found.groupdict().items()}
                return rule.turns[min(turn, len(rule.turns) - 1)].filled(groups)
        return self.otherwise


_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)


def text_of(message: Mapping[str, Any]) -> str:
    """All text of a message, whether it is one text or a list of blocks, without what the agent put in by itself."""
    content = message.get("content", "")
    if not isinstance(content, str):
        content = "\n".join(str(block.get("text", "")) for block in content if block.get("type") == "text")
    return _REMINDER.sub("", content).strip()


def read_script(text: str) -> Script:
    """Read a script from JSON.

    Raises:
        BadScript: it is none.
    """
    try:
        given = json.loads(text)
        return Script(
            rules=tuple(
                Rule(match=re.compile(each["match"], re.DOTALL), turns=_turns(each["turns"]))
                for each in given.get("rules", [])
            ),
            otherwise=_answer(given.get("otherwise", {"text": "ok"})),
        )
    except KeyError as error:
        raise BadScript(f"a rule has no {error}") from error
    except (TypeError, ValueError, AttributeError, re.error) as error:
        raise BadScript(str(error)) from error


def _turns(given: Sequence[Mapping[str, Any]]) -> tuple[Answer, ...]:
    if not given:
        raise BadScript("a rule has no turns")
    return tuple(_answer(each) for each in given)


def _answer(given: Mapping[str, Any]) -> Answer:
    tools = tuple(ToolUse(**each) for each in given.get("tools", ()))
    failures = tuple(Failure(**each) for each in given.get("failures", ()))
    return Answer(**{**given, "tools": tools, "failures": failures})


def _filled(value: Any, groups: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return Template(value).safe_substitute(groups)
    if isinstance(value, Mapping):
        return {name: _filled(each, groups) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, groups) for each in value]
    return value
