"""Slice: accounts that have no more to give for a while. Others go on; what would start on them waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from wavepool.core import facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.gates.parallelism import parallelism_key
from wavepool.core.state import AccountState, RunState
from wavepool.core.timers import account_timer

FIRST_PAUSE_S = 30.0
"""Where the account does not say when it has more; doubled with each further pause without a success in between."""
LONGEST_UNTOLD_PAUSE_S = 3600.0
LONGEST_PAUSE_S = 8 * 86400.0
"""Of what is believed; the longest limits that are known are weekly."""
SAME_S = 1.0
"""Resets that are told less than this later than the pause's own are the same reset."""

# -- decide --


def pause(state: RunState, account: str, resets_at: datetime | None, because: str, now: Now) -> Iterator[Fact]:
    """The account has no more to give until `resets_at`; where nobody knows, it is left alone for a while.

    Nothing follows where it is paused for as long already, or where the reset has come.
    """
    paused_until_s = state.timers.deadline_s(account_timer(account))
    if resets_at is None and paused_until_s is not None:
        return
    known = state.accounts.get(account)
    in_s = _untold_s(known) if resets_at is None else (resets_at - now.utc).total_seconds()
    in_s = min(LONGEST_PAUSE_S, in_s)
    if in_s <= 0:
        return
    if paused_until_s is not None and now.boot_s + in_s < paused_until_s + SAME_S:
        return
    yield facts.AccountPaused(
        account=account,
        until_s=now.boot_s + in_s,
        until=now.utc + timedelta(seconds=in_s),
        because=because,
        at=now.utc,
    )


def pauses_again(state: RunState, now: Now) -> Iterator[Fact]:
    """Another process goes on: the deadlines may have been moved, but an account's reset is a time of day."""
    if state.outcome is not None:
        return  # it is over, and only looked at
    for account, known in state.accounts.items():
        timer = account_timer(account)
        if state.timers.is_set(timer):
            until_s = now.boot_s + max(0.0, (known.until - now.utc).total_seconds())
            yield facts.AccountPaused(
                account=account, until_s=until_s, until=known.until, because=known.because, at=now.utc
            )


def _untold_s(known: AccountState | None) -> float:
    pauses = 0 if known is None else known.pauses
    return min(LONGEST_UNTOLD_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(pauses, 16))


# -- apply --


def account_paused(state: RunState, fact: facts.AccountPaused) -> None:
    known = state.accounts.get(fact.account)
    pauses = 0 if known is None else known.pauses
    again = known is not None and known.until == fact.until
    state.accounts[fact.account] = AccountState(
        until=fact.until, because=fact.because, pauses=pauses if again else pauses + 1
    )
    timer = account_timer(fact.account)
    if not state.timers.is_set(timer):
        _sort_out(state)
    state.timers.set(timer, fact.until_s)


def _sort_out(state: RunState) -> None:
    """What waits for a place in its wave may wait for the account from now on: no place must be kept for it."""
    for number in state.open:
        state.wake(parallelism_key(number))


def note_success(state: RunState, account: str) -> None:
    """It has given what was asked for: the next pause of unknown length is a short one again."""
    known = state.accounts.get(account)
    if known is not None:
        known.pauses = 0
