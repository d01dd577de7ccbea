"""Words for an agent that ended without saying how its work went."""

from __future__ import annotations

from dataclasses import dataclass

from wavepool.model import AgentReason

_SIGNAL_BASE = 128


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the work of an agent is not done: for programs, and in words for a person."""

    reason: AgentReason
    words: str


def ended_early(program: str, exit_code: int | None, *, said: str, began: bool, result: str) -> Problem:
    """What happened, why, and what to do.

    Args:
        program: its name, as it is called.
        exit_code: None where there is none.
        said: its last line that means nothing to us, as its error output; empty for none.
        began: True if any of its output could be read.
        result: what it did not write, in words.
    """
    if not began and exit_code in (126, 127):
        how = "could not be run" if exit_code == 126 else "was not found"
        words = f"{program} {how} where the task ran{_quoted(said)}; use an image that has it (wavepool image build)"
        return Problem(AgentReason.NOT_FOUND, words)
    if "root/sudo privileges" in said:
        words = f"{program} does not work as root{_quoted(said)}; run it as another user (--user UID:GID)"
        return Problem(AgentReason.ROOT_REFUSED, words)
    words = f"{program} {_ended(exit_code)} without {result}: {_why(exit_code, began)}{_quoted(said)}"
    return Problem(AgentReason.NO_RESULT, words)


def ended_otherwise(program: str, exit_code: int) -> Problem:
    """Its exit code says another thing than its result."""
    words = f"{program} told of success, and yet ended with exit code {exit_code}; see its log"
    return Problem(AgentReason.EXIT_CODE, words)


def _ended(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended, its exit code unknown,"
    if exit_code > _SIGNAL_BASE:
        return f"was ended by signal {exit_code - _SIGNAL_BASE}"
    return f"ended with exit code {exit_code}"


def _why(exit_code: int | None, began: bool) -> str:
    if exit_code == 0:
        return "it was interrupted, or its output was cut off; how far it came is in its log and its workspace"
    if not began:
        return "it did not begin its work"
    return "its work was cut short; how far it came is in its log and its workspace"


def _quoted(said: str) -> str:
    return f" (it said: {said})" if said else ""
