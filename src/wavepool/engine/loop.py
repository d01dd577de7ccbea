"""The loop: collect events, decide, write the facts to the journal, perform their actions.

Facts are applied to the state in memory as they are decided and committed as one group before any of their actions is
performed. If the commit fails nothing was performed, and the state is thrown away with the engine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from wavepool import labels
from wavepool.agents.base import AgentAdapter
from wavepool.core import decide, events, facts
from wavepool.core.actions import Action, actions
from wavepool.core.events import Event, Now
from wavepool.core.facts import Fact, Stamped
from wavepool.core.state import RunState
from wavepool.drivers.base import Driver, Observation, Phase, Scope, Synced
from wavepool.engine.asking import Ask, Asked, over, to_interrupt
from wavepool.engine.attempts.perform import Performer
from wavepool.engine.clock import Clock
from wavepool.engine.listener import Listener, tell, tell_agent
from wavepool.engine.replay import Replayed, first_actions, still_wanted
from wavepool.engine.usage.recorder import UsageRecorder
from wavepool.engine.warm import Warmer
from wavepool.engine.watching.following import Followers
from wavepool.engine.watching.pressure import PressureLoop, ReadPressure
from wavepool.engine.watching.watchdog import WatchdogLoop
from wavepool.errors import DriverUnavailable, InvariantBroken
from wavepool.journal.base import Journal
from wavepool.model import AttemptId

UNDER_WAY_NAMED = 10
"""Of the tasks that were under way when the driver failed, in what the user is told."""

INBOX_SIZE = 4096
"""Events that wait to be decided. At the bound, whoever brings another one waits."""

_DURABLE = (facts.AttemptSettled, facts.RunFinished)
"""Followed by a removal that cannot be undone, so they must be on the disk first."""


class Engine:
    """Runs one run to its end, in this process. A context manager: leaving closes its inbox.

    Args:
        state: new, or replayed.
        driver, journal: open; closed by their owner.
        performer: performs the actions.
        clock: tells the time.
        listeners: told every fact after its commit.
        clock_offset_s: the driver's clock less ours, as its probe found.
        warmer: parks containers ahead, where the run wants that.
        adapters: of the agents that are followed while they work, by name.
        read_pressure: of this host, where attempts run on it.
        recorder: writes down what is used; None for nobody.
    """

    def __init__(
        self,
        *,
        state: RunState,
        driver: Driver,
        journal: Journal,
        performer: Performer,
        clock: Clock,
        listeners: Sequence[Listener] = (),
        clock_offset_s: float = 0.0,
        warmer: Warmer | None = None,
        adapters: Mapping[str, AgentAdapter] | None = None,
        read_pressure: ReadPressure | None = None,
        recorder: UsageRecorder | None = None,
    ) -> None:
        self.state = state
        self._driver = driver
        self._journal = journal
        self._performer = performer
        self._clock = clock
        self._listeners = tuple(listeners)
        self._send, self._inbox = anyio.create_memory_object_stream[Event](INBOX_SIZE)
        self._recorder = recorder
        self._watchdog = WatchdogLoop(
            state=state,
            driver=driver,
            clock=clock,
            tell=self._send.send,
            clock_offset_s=clock_offset_s,
            heard=None if recorder is None else recorder.hear,
        )
        self._pressure = PressureLoop(state=state, read=read_pressure, tell=self._send.send)
        self._warmer = warmer
        self._followers = Followers(
            state=state,
            driver=driver,
            adapters=adapters or {},
            tell=self._send.send,
            heard=partial(tell_agent, self._listeners),
        )
        self._asked: list[Asked] = []
        self._ended = False
        self._failure: DriverUnavailable | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._send.close()
        self._inbox.close()

    def interrupt(self, *, force: bool) -> None:
        """Ask the run to end: drain first, with `force` stop what runs. Returns at once; repeating is harmless."""
        self._asked.append(Asked(to_interrupt(force=force), urgent=True))
        self._wake()

    async def ask(self, ask: Ask, *, patience_s: float) -> Sequence[Fact] | None:
        """Have something decided; returns what followed, once that is in the journal.

        None: it was not taken within `patience_s`, and is withdrawn. What was taken then is waited for, however slow
        the disk is: it is decided, and will be done.

        Raises:
            NotNow: the run ended first.
            WavepoolError: what `ask` refuses it with.
        """
        if self._ended:
            raise over(self.state)
        asked = Asked(ask)
        self._asked.append(asked)
        self._wake()
        try:
            with anyio.move_on_after(patience_s):
                return await asked.answered()
            return None if asked in self._asked else await asked.answered()
        finally:
            if asked in self._asked:
                self._asked.remove(asked)

    def _wake(self) -> None:
        # A full inbox wakes the loop by itself; a closed one means that the run is over.
        with contextlib.suppress(anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._send.send_nowait(events.Advance())

    async def run(self, opened: events.Opened) -> RunState:
        """A new run, from its first fact to its last.

        Cancelling it stops what runs, as a second Ctrl-C would, and then lets the cancellation go on.

        Raises:
            DriverUnavailable: the daemon stayed away. The run can be resumed.
            JournalError: the journal cannot be written. The run can be resumed when that is mended.
        """

        async def begin(group: TaskGroup) -> None:
            # One commit: a run without its plan would be an empty success to whoever resumes it.
            await self._step([opened], group, advance=False, first=(opened.run,))
            await self._begin_to_look(group)
            await self._hear_what_exists(group)
            self._begin_to_warm(group)

        return await self._guarded(begin)

    async def resume(
        self, replayed: Replayed, *, retry: Sequence[str] | None = None, cancelled: bool = False
    ) -> RunState:
        """Go on with a run whose journal was replayed; raises as `run` does. One that had ended is only returned.

        With `retry` these tasks are tried again first, and what was skipped because of them; even of a run that ended.
        With `cancelled` nothing is started: what ended by itself is collected, what still runs is stopped.
        """
        now = self._clock.now()
        shift_s = replayed.shift_s(self._clock.boot_id, now)

        async def begin(group: TaskGroup) -> None:
            resumed = events.Resumed(boot_id=self._clock.boot_id, shift_s=shift_s)
            reopened = [] if retry is None else [events.Reopened(tasks=tuple(retry))]
            await self._step([*reopened, resumed], group, advance=False)
            for_waves, for_attempts = first_actions(self.state)
            for action in for_waves:
                event = await self._performer.perform(action)
                await self._step([event] if event is not None else [], group, advance=False)
            await self._begin_to_look(group)
            told = await self._hear_what_exists(group)
            if cancelled:  # only now, so that what ended by itself keeps its own verdict
                await self._step([events.Interrupted(force=True), told], group, advance=False)
            self._begin_to_warm(group)
            self._followers.take_up(group)
            for action in for_attempts:
                if still_wanted(self.state, action):
                    group.start_soon(self._perform, action)

        if replayed.is_over and retry is None:
            return self.state
        return await self._guarded(begin)

    async def _begin_to_look(self, group: TaskGroup) -> None:
        group.start_soon(self._watch)
        if self._recorder is not None:
            await group.start(self._recorder.run)
        group.start_soon(self._watchdog.run)
        group.start_soon(self._pressure.run)

    async def _guarded(self, begin: Callable[[TaskGroup], Awaitable[None]]) -> RunState:
        """Shielded from cancellation, which becomes a forced interrupt: who cancels us wants nothing left behind."""

        async def notice_cancellation() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                self.interrupt(force=True)

        async def drive() -> None:
            with anyio.CancelScope(shield=True):
                await self._drive(begin)
            outer.cancel_scope.cancel()

        async with anyio.create_task_group() as outer:
            outer.start_soon(notice_cancellation)
            outer.start_soon(drive)  # a task of its own: asyncio's cancel(), as of its timeouts, knows no shields
        return self.state

    async def _drive(self, begin: Callable[[TaskGroup], Awaitable[None]]) -> None:
        async with anyio.create_task_group() as group:
            await begin(group)
            await self._step([], group, asked=self._taken_asked())
            while self.state.outcome is None:
                batch = await self._collect()
                await self._step(batch, group, asked=self._taken_asked())
            self._end_of_asking()
            group.cancel_scope.cancel()

    def _end_of_asking(self) -> None:
        """Who asked too late hears so."""
        self._ended = True
        for asked in self._asked:
            asked.decide(self.state, self._too_late)
            asked.answer()

    def _too_late(self, event: Event) -> list[Fact]:
        raise over(self.state)

    # -- one turn --

    async def _collect(self) -> list[Event]:
        """What came in, and the deadline that passed. Empty where the wait was cut short to look at the clock again."""
        next_s = self.state.timers.next_s()
        batch: list[Event] = []
        with anyio.move_on_after(self._clock.wait_s(next_s)):
            batch.append(await self._inbox.receive())
        while len(batch) < INBOX_SIZE:
            try:
                batch.append(self._inbox.receive_nowait())
            except anyio.WouldBlock:
                break
        if next_s is not None and next_s <= self._clock.now().boot_s:
            batch.append(events.DeadlinePassed())
        return batch

    async def _step(
        self,
        batch: Sequence[Event],
        group: TaskGroup,
        *,
        asked: Sequence[Asked] = (),
        advance: bool = True,
        first: Sequence[Fact] = (),
    ) -> None:
        """Decide about a batch and commit what follows, after the facts `first`, which are applied already."""
        now, decided = self._clock.now(), list(first)
        for each in asked:  # before the batch, so that nothing more starts in this very turn
            decided += each.decide(self.state, partial(self._decided, now=now))
        for event in (*batch, events.Advance()) if advance else batch:
            decided += self._decided(event, now)
        if decided:
            await self._commit(decided, group)
            self._let_warmer_look()
        for each in asked:
            each.answer()
        if self._failure is not None and any(isinstance(event, events.DriverFailed) for event in batch):
            raise self._failure

    def _taken_asked(self, *, urgent: bool = False) -> list[Asked]:
        """All, or only those that are `urgent`; they are to be answered."""
        taken = [each for each in self._asked if each.urgent or not urgent]
        self._asked = [each for each in self._asked if each not in taken]
        return taken

    def _decided(self, event: Event, now: Now) -> list[Fact]:
        """What follows from it, applied."""
        decided: list[Fact] = []
        for fact in decide.decide(self.state, event, now):
            decide.apply(self.state, fact)
            decided.append(fact)
        return decided

    async def _commit(self, decided: Sequence[Fact], group: TaskGroup) -> None:
        now = self._clock.now()
        stamped = [Stamped(now.boot_s, now.utc, fact) for fact in decided]
        durable = any(isinstance(fact, _DURABLE) for fact in decided)
        await self._journal.append(stamped, durable=durable)
        tell(self._listeners, stamped)
        for fact in decided:
            self._followers.take(fact, group)
            for action in actions(fact):
                group.start_soon(self._perform, action)

    async def _perform(self, action: Action) -> None:
        event = await self._performer.perform(action)
        if event is not None:
            await self._send.send(event)

    def _begin_to_warm(self, group: TaskGroup) -> None:
        if self._warmer is not None:
            group.start_soon(self._warmer.run)

    def _let_warmer_look(self) -> None:
        if self._warmer is not None:
            self._warmer.look()

    # -- what the driver sees --

    async def _hear_what_exists(self, group: TaskGroup) -> events.AllTold:
        """Take in what the watch tells until it has told all. Nothing starts, and nothing is gone, before that."""
        while True:
            event = await self._inbox.receive()
            # An Advance comes with what is asked, and must not start anything yet.
            batch = [] if isinstance(event, events.Advance) else [event]
            await self._step(batch, group, asked=self._taken_asked(urgent=True), advance=False)
            if isinstance(event, events.AllTold):
                return event

    async def _watch(self) -> None:
        try:
            await self._hear_the_driver()
        except DriverUnavailable as error:  # told to the run first: its journal and its screens are to say why it ends
            error.add_note(self._under_way())
            self._failure = error
            await self._send.send(events.DriverFailed(cause=error.message))

    def _under_way(self) -> str:
        live = self.state.live
        named = ", ".join(repr(attempt.task_id) for attempt in islice(live, UNDER_WAY_NAMED))
        more = f" and {len(live) - UNDER_WAY_NAMED} more" if len(live) > UNDER_WAY_NAMED else ""
        return f"Under way when it went: {named}{more}." if live else "Nothing was under way when it went."

    async def _hear_the_driver(self) -> None:
        run = self.state.run
        first = True
        created: set[AttemptId] = set()
        async with self._driver.watch(Scope(owner=run.owner, run_id=run.run_id, detached=False)) as stream:
            async for seen in stream:
                if not isinstance(seen, Synced):
                    self._performer.saw(seen)
                    event = self._event_of(seen)
                    if first:  # one that is only created has nothing that a stop could wait for
                        (created.add if seen.phase is Phase.CREATED else created.discard)(seen.handle.attempt)
                        self._note_left_over(seen)
                elif first:
                    first = False
                    event = events.AllTold(present=frozenset(a for _, a in seen.present) - created)
                else:
                    event = None  # after a reconnect the driver itself tells what is gone
                    self._let_warmer_look()  # what was parked may be
                if event is not None:
                    await self._send.send(event)
        raise InvariantBroken("the driver's watch ended by itself")

    def _note_left_over(self, seen: Observation) -> None:
        if self._warmer is not None and seen.phase is Phase.CREATED and labels.PARKED in seen.labels:
            self._warmer.left_over(seen.handle)

    def _event_of(self, seen: Observation) -> Event | None:
        attempt = seen.handle.attempt
        if attempt not in self.state.live:
            return None
        warm = labels.PARKED in seen.labels
        if seen.phase is Phase.RUNNING:
            return events.Running(attempt=attempt, handle=seen.handle, started_at=seen.started_at, warm=warm)
        if seen.ending is not None:
            ending = self._watchdog.with_peak(attempt, seen.ending)
            return events.Ended(attempt=attempt, handle=seen.handle, ending=ending, warm=warm)
        return None
