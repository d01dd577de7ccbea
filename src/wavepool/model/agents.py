"""What an agent is asked, what it says while it works, and what it says at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOrder:
    """Which agent works on a task's prompt, and how.

    Attributes:
        name: of an adapter: ``claude``, ``codex``, ``command``.
        max_turns: the most turns of one attempt, at least 1; None for the agent's own bound.
        model: None for the agent's own default.
        flags: further arguments of the user, passed on as they are.
        output_format: ``stream-json``, or ``json`` where the user asked for that.
        account: tasks with the same text share one rate limit; empty stands for the agent's name.
        max_cost_usd, max_tokens: of one attempt; one that goes above is stopped. None for no bound.
    """

    name: str
    max_turns: int | None = None
    model: str | None = None
    flags: tuple[str, ...] = ()
    output_format: str = "stream-json"
    account: str = ""
    max_cost_usd: float | None = None
    max_tokens: int | None = None

    @property
    def pays(self) -> str:
        """The account whose limits count: named, or the agent's own."""
        return self.account or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens that were used. `cache_read` and `cache_write` are not part of `input`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int:
        """All of them; what a budget of tokens counts."""
        return self.input + self.output + self.cache_read + self.cache_write


class AgentEventKind(StrEnum):
    """What kind of thing an agent said."""

    STARTED = "started"
    TEXT = "text"
    TOOL = "tool"
    RETRY = "retry"
    RATE_LIMITED = "rate_limited"
    ERROR = "error"
    RESULT = "result"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEvent:
    """One thing that an agent said while it worked.

    Attributes:
        text: for a person, one line, bounded; the name of the tool for `TOOL`.
        turns, tokens, cost_usd: of this attempt up to now; `cost_usd` None where the agent has not told yet.
        resets_at: for `RATE_LIMITED`: when the limit ends; None where it did not say.
        retry_in_s: for `RETRY` and `RATE_LIMITED`: after how long it tries again by itself; None where it did not say.
    """

    kind: AgentEventKind
    text: str = ""
    turns: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost_usd: float | None = None
    resets_at: datetime | None = None
    retry_in_s: float | None = None


class AgentReason(StrEnum):
    """Why an agent's work is not done, for programs; `problem` says it to a person."""

    LIMIT = "limit"
    """Its account had no more to give."""
    KEY_REFUSED = "key_refused"
    NO_CREDIT = "no_credit"
    NO_MODEL = "no_model"
    SERVERS_FAILED = "servers_failed"
    """At each of its tries."""
    CONNECTION_LOST = "connection_lost"
    """Likewise."""
    TURNS_SPENT = "turns_spent"
    MONEY_SPENT = "money_spent"
    BAD_ANSWER = "bad_answer"
    """Not of the shape that was asked for."""
    FAILED_AT_WORK = "failed_at_work"
    """Or it was interrupted; it does not say more."""
    NOT_FOUND = "not_found"
    """Its program is not there, or cannot be executed."""
    ROOT_REFUSED = "root_refused"
    """It does not work as root."""
    NO_RESULT = "no_result"
    """It ended without one."""
    CUT_OFF = "cut_off"
    """Its last answer is not whole."""
    EXIT_CODE = "exit_code"
    """It told of success, and yet did not exit with 0."""
    UNREADABLE = "unreadable"
    """The adapter failed over its output."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """What an agent's whole output amounts to.

    Attributes:
        agent: name of the adapter.
        succeeded: what its output says of the work; None where that says nothing, and its exit code alone counts.
        problem: why `succeeded` is False, for a person: what happened, and what to do; empty otherwise.
        reason: the same for programs; None otherwise, and where an adapter does not tell.
        rate_limited: its account had no more to give; `resets_at` says until when, where it is known.
        turns, tokens, cost_usd: of the whole attempt; `cost_usd` None where the agent does not tell.
        session_id, model: None where they are not told.
        retries: calls to its model that it had to repeat.
        final_text: its last words, bounded.
        errors: that it told, bounded in number and length.
    """

    agent: str
    succeeded: bool | None = None
    problem: str = ""
    reason: AgentReason | None = None
    rate_limited: bool = False
    resets_at: datetime | None = None
    turns: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost_usd: float | None = None
    session_id: str | None = None
    model: str | None = None
    retries: int = 0
    final_text: str = ""
    errors: tuple[str, ...] = ()
