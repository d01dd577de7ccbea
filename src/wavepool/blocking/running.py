"""One run for somebody who waits: the engine has a thread of its own, results come to the thread that waits.

So the caller's callbacks run where he expects them, a slow one holds up nobody, and Ctrl-C reaches who can stop it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue

from anyio.from_thread import start_blocking_portal

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.engine.listener import Listener
from wavepool.model import AttemptId, Handle, VerdictKind
from wavepool.wiring import Hooks, RunRequest, run_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """A task is final. `settled` None: it had no attempt, and `cause` says why."""

    task_id: str
    verdict: VerdictKind
    settled: facts.AttemptSettled | None = None
    handle: Handle | None = None
    cause: str = ""


class BlockingRun:
    """One run. `finals` may be gone through once; `cancel` may be called from any thread, at any time.

    Attributes:
        peak: the most attempts that ran at one moment.
    """

    def __init__(self, request: RunRequest, notice: Callable[[str], None]) -> None:
        self._request = request
        self._notice = notice
        self._outbox: SimpleQueue[Final | None] = SimpleQueue()
        self._watching = _Watching(self._outbox)
        self._turn = threading.Lock()
        self._task: Future[None] | None = None
        self._cancelled = False
        self._ended = threading.Event()
        self._problem: BaseException | None = None

    @property
    def peak(self) -> int:
        return self._watching.peak

    def finals(self) -> Generator[Final, None, None]:
        """Run it, and give each task as it becomes final. Closing it early, or Ctrl-C, stops what runs and cleans up.

        Raises:
            InputError, InfrastructureError: as `run_plan`.
        """
        with start_blocking_portal() as portal:
            with self._turn:
                if self._cancelled:
                    self._ended.set()
                    return
                self._task = portal.start_task_soon(self._run)
            try:
                while (final := self._outbox.get()) is not None:
                    yield final
            except BaseException:
                self.cancel()
                self._ended.wait()
                raise
        if self._problem is not None and not self._cancelled:
            raise self._problem

    def cancel(self) -> None:
        """Stop what runs. Returns at once; `finals` ends when all is cleaned up."""
        with self._turn:
            self._cancelled = True
            task = self._task
        if task is not None:
            task.cancel()

    def wait(self, timeout_s: float) -> bool:
        """Until it has ended; False where it has not by then."""
        return self._ended.wait(timeout_s)

    async def _run(self) -> None:
        try:
            await run_plan(self._request, Hooks(listeners=(self._watching,), notice=self._notice))
        except Exception as error:
            self._problem = error
        finally:
            self._ended.set()
            self._outbox.put(None)


class _Watching(Listener):
    """Puts each task that becomes final into `outbox`."""

    def __init__(self, outbox: SimpleQueue[Final | None]) -> None:
        self._outbox = outbox
        self._handles: dict[str, Handle] = {}
        self._settled: dict[str, facts.AttemptSettled] = {}
        self._running: set[AttemptId] = set()
        self.peak = 0

    def on_facts(self, facts_: Sequence[Stamped]) -> None:
        for stamped in facts_:
            self._take(stamped.fact)

    def _take(self, fact: facts.Fact) -> None:
        match fact:
            case facts.AttemptStarted():
                self._handles[fact.attempt.task_id] = fact.handle
                self._running.add(fact.attempt)
                self.peak = max(self.peak, len(self._running))
            case facts.AttemptExited():
                self._running.discard(fact.attempt)
            case facts.AttemptSettled():
                self._settled[fact.attempt.task_id] = fact
            case facts.TaskSettled():
                settled = self._settled.pop(fact.task_id)
                handle = self._handles.get(fact.task_id)
                self._outbox.put(
                    Final(task_id=fact.task_id, verdict=settled.verdict.kind, settled=settled, handle=handle)
                )
            case facts.TaskSkipped():
                self._outbox.put(Final(task_id=fact.task_id, verdict=VerdictKind.SKIPPED, cause=fact.cause))
            case _:
                pass
