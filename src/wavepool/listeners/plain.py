"""Lines with timestamps, where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Self

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.core.softlimits import measured
from wavepool.engine.clock import Clock
from wavepool.engine.listener import Listener
from wavepool.listeners.figures import Figures, WaveProgress, warm_words
from wavepool.listeners.heldback import held_back
from wavepool.listeners.lines import LineWriter
from wavepool.listeners.progress import Progress
from wavepool.listeners.saying import TOLD_ALWAYS, saying_words, spent_words
from wavepool.listeners.wording import WAITED_FOR, at_once_words, count, printable, stamp, took
from wavepool.model import AgentEvent, AttemptId, Finding, PressureLevel, StopReason, VerdictKind
from wavepool.units import format_duration, human_size

SKIPS_SHOWN = 20
"""Skipped tasks that get a line each, of those decided together; the others are counted in one."""

CLOSE_S = 5.0


class PlainListener(Listener):
    """Says what happens, one line each; successes only with `verbose`, and the seed's line every `interval_s`.

    A context manager, closed by its owner: leaving it writes what still waits (at most 5 s). Lines are written by a
    thread of its own; where `stream` takes none, further ones are dropped, and a last line says how many.

    Args:
        stream: text, as stderr.
        interval_s: seconds between two progress lines; asked about only in `tick`.
        clock: tells the time.
        verbose: also each start and each success.
        runs_dir: the directory of all runs, where log paths begin; None leaves them relative to their run's.
    """

    def __init__(
        self,
        stream: IO[str],
        interval_s: float,
        clock: Clock,
        *,
        verbose: bool = False,
        runs_dir: Path | None = None,
    ) -> None:
        self.progress = Progress()
        self._stream = stream
        self._interval_s = interval_s
        self._clock = clock
        self._verbose = verbose
        self._runs_dir = runs_dir
        self._last_s: float | None = None
        self._short = False
        self._writer: LineWriter[str] = LineWriter(self._write, stream.flush)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        skipped = 0
        for stamped in facts:
            self.progress.take(stamped)
            skipped += _is_skip(stamped)
            if _is_skip(stamped) and skipped > SKIPS_SHOWN:
                continue
            for line in self._lines(stamped):
                self._say(stamped.utc, line)
        if skipped > SKIPS_SHOWN:
            self._say(facts[-1].utc, f"… and {skipped - SKIPS_SHOWN} more skipped")

    def on_agent(self, attempt: AttemptId, event: AgentEvent) -> None:
        self.progress.hear(attempt, event)
        words = saying_words(event)
        if words and (self._verbose or event.kind in TOLD_ALWAYS):
            self._say(self._clock.now().utc, f"task {_named(attempt.task_id)}: agent {words}")

    def tick(self) -> None:
        """The seed's line, if its time has come. Called by whoever owns the listener, as often as it likes."""
        now = self._clock.now()
        if self._last_s is not None and now.boot_s - self._last_s < self._interval_s:
            return
        if self.progress.run is None or self.progress.outcome is not None:
            return
        self._last_s = now.boot_s
        left_s = self.progress.time_left_s(now)
        left = f" ({format_duration(left_s)} left, estimated)" if left_s is not None else ""
        spent = self.progress.spent
        used = f", {spent_words(spent)}" if spent is not None else ""
        held = "".join(f"; {words}" for words in held_back(self.progress, now))
        self._say(now.utc, f"{self.progress.totals.line()}{used}{_waiting(self.progress.waiting)}{held}{left}")

    def notice(self, text: str) -> None:
        """Something that is no fact: a warning before the run, the progress of a pull."""
        now = self._clock.now()
        for line in text.splitlines():
            self._say(now.utc, printable(line))

    def close(self) -> int:
        """Write what waits, and say how many lines were dropped. Safe to repeat."""
        self._writer.drain(CLOSE_S)
        dropped = self._writer.dropped
        if dropped:
            self._say(self._clock.now().utc, f"{count(dropped, 'line')} of this were dropped: nothing read them")
        return self._writer.close(CLOSE_S)

    def _say(self, at: datetime, line: str) -> None:
        self._writer.put(f"{stamp(at)} {line}\n")

    def _write(self, line: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding))

    # -- the lines of one fact --

    def _lines(self, stamped: Stamped) -> Iterator[str]:
        match stamped.fact:
            case facts.AttemptSettled() as fact:
                if not fact.verdict.succeeded or self._verbose:
                    yield self._verdict(fact)
            case facts.AttemptStarted() as fact if self._verbose:
                warm = ", started warm" if fact.warm else ""
                yield f"task {_named(fact.attempt.task_id)}: attempt {fact.attempt.number} runs{warm}"
            case facts.StopIntended(handle=None, reason=StopReason.TIMEOUT) as fact:
                yield f"task {_named(fact.attempt.task_id)}: out of time before it had started"
            case facts.WatchdogWarned() as fact:
                attempt = fact.attempt
                yield f"task {_named(attempt.task_id)}: attempt {attempt.number} warned of: {measured(fact.finding)}"
            case facts.TaskRequeued() as fact:
                yield f"task {_named(fact.task_id)}: will be tried again after {printable(fact.because)}"
            case facts.TaskSkipped() as fact:
                yield f"task {_named(fact.task_id)}: skipped, {printable(fact.cause)}"
            case facts.AttemptRemoved() as fact:
                if fact.problem is not None:
                    yield f"task {_named(fact.attempt.task_id)}: left behind, {printable(fact.problem)}"
                if fact.not_kept is not None:
                    yield f"task {_named(fact.attempt.task_id)}: not kept, {printable(fact.not_kept)}"
            case _:
                yield from self._lines_of_run(stamped)

    def _lines_of_run(self, stamped: Stamped) -> Iterator[str]:
        match stamped.fact:
            case facts.StartsPaced() as fact:
                yield from self._paced(fact)
            case facts.RunOpened() as fact:
                yield _opening(fact)
            case facts.RunResumed():
                yield "run resumed"
            case facts.RunReopened() as fact:
                waiting = f", and {count(len(fact.waiting), 'task')} that had not been reached" if fact.waiting else ""
                what = "asked for by hand" if fact.live else "run reopened"
                yield f"{what}: {count(len(fact.tasks), 'task')} to be tried again{waiting}"
            case facts.WaveOpened() as fact:
                wave = self.progress.waves[fact.wave]
                why = at_once_words(wave.room)
                yield f"wave {fact.wave} opened: {count(wave.total, 'task')}{why and f', {why}'}"
            case facts.WaveTimedOut() as fact:
                again = "it has another round" if fact.deadline_s is not None else "what has not started is skipped"
                yield f"wave {fact.wave} reached its timeout: what runs is stopped, {again}"
            case facts.WaveSettled() as fact:
                wave = self.progress.waves[fact.wave]
                yield f"{_settled(wave, resumed=self.progress.work.sessions > 1)}{self._warm(wave)}"
            case facts.AccountPaused() as fact if fact.until > fact.at:
                yield f"account {printable(fact.account, 80)} is paused until {stamp(fact.until)}: {_why(fact)}"
            case facts.RunPaused():
                yield self._paused()
            case facts.RunUnpaused():
                yield "unpaused: starts go on"
            case facts.TasksCancelled() as fact:
                yield from self._cancelled(fact)
            case facts.RunStopped() as fact:
                yield f"nothing new starts: {printable(fact.cause)}"
            case facts.RunInterrupted(force=True):
                yield "interrupted: what runs is stopped"
            case facts.RunInterrupted():
                yield "interrupted: nothing new starts, what runs is waited for; interrupt again to stop it"
            case facts.RunFinished() as fact:
                totals = self.progress.totals
                counts = f"{totals.line()}{self._warm(totals)}"
                yield f"run finished after {self._took(fact)}: {fact.outcome.value}. {counts}"
            case _:
                pass

    def _paused(self) -> str:
        run, running = self.progress.run, self.progress.totals.starting + self.progress.totals.running
        goes_on = f"{count(running, 'task')} may end" if running else "nothing runs"
        name = printable(run.run_id) if run is not None else "RUN"
        return f"paused: nothing new starts, {goes_on}; `wavepool unpause {name}` lets starts go on"

    def _cancelled(self, fact: facts.TasksCancelled) -> Iterator[str]:
        """One line each; what becomes of them has lines of its own."""
        for task_id in fact.tasks[:SKIPS_SHOWN]:
            yield f"task {_named(task_id)}: cancelled, the run goes on without it"
        if len(fact.tasks) > SKIPS_SHOWN:
            yield f"… and {count(len(fact.tasks) - SKIPS_SHOWN, 'task')} more cancelled"

    def _paced(self, fact: facts.StartsPaced) -> Iterator[str]:
        """That starts wait for memory, and that they go on; how many there are at once changes all the time."""
        waits = fact.level is PressureLevel.FULL
        if waits and not self._short:
            yield f"nothing starts beside what runs until memory eases: {printable(fact.because)}"
        elif self._short and not waits:
            yield "memory has eased: starts go on"
        self._short = waits

    def _took(self, fact: facts.RunFinished) -> str:
        run = self.progress.run
        return took(self.progress.work.seconds, None if run is None else (fact.at - run.at).total_seconds())

    def _warm(self, figures: Figures) -> str:
        run = self.progress.run
        return f", {warm_words(figures)}" if run is not None and run.rules.warm else ""

    def _verdict(self, fact: facts.AttemptSettled) -> str:
        parts = [f"task {_named(fact.attempt.task_id)}: attempt {fact.attempt.number} {fact.verdict.kind.value}"]
        evidence = fact.verdict.evidence
        reason = evidence.reason or evidence.daemon_error or ""
        if evidence.rule is not None and evidence.reading is not None and evidence.threshold is not None:
            # what to do about it is told at the end, once
            found = Finding(
                rule=evidence.rule,
                reading=evidence.reading,
                threshold=evidence.threshold,
                whole_run=bool(evidence.whole_run),
            )
            reason = measured(found)
        elif fact.verdict.exit_code is not None and f"exit code {fact.verdict.exit_code}" not in reason:
            parts.append(f"exit code {fact.verdict.exit_code}")
        if reason:
            parts.append(printable(reason.rstrip(".")))
        if fact.log.path is not None:
            run = self.progress.run
            path = fact.log.path
            if self._runs_dir is not None and run is not None:
                path = str(self._runs_dir / run.run_id / path)
            parts.append(f"log {printable(path)}")
        if fact.log.problem is not None:
            parts.append(printable(fact.log.problem))
        return "; ".join(parts)


def _why(fact: facts.AccountPaused) -> str:
    return printable(fact.because or "it has no more to give", 200)


def _is_skip(stamped: Stamped) -> bool:
    return isinstance(stamped.fact, facts.TaskSkipped)


def _named(task_id: str) -> str:
    return printable(task_id, 80)


def _opening(fact: facts.RunOpened) -> str:
    budget_bytes = sum(node.capacity.memory_bytes for node in fact.rules.nodes)
    nodes = f" on {len(fact.rules.nodes)} nodes" if len(fact.rules.nodes) > 1 else ""
    warm = f", up to {fact.rules.warm} parked" if fact.rules.warm else ""
    return (
        f"run {printable(fact.run_id)} opened: driver {fact.driver}, schedule {fact.rules.schedule.value}, "
        f"budget {human_size(budget_bytes)}{nodes}{warm}"
    )


def _waiting(wave: WaveProgress | None) -> str:
    bound = None if wave is None else wave.waits_for
    if wave is None or bound is None:
        return ""
    return f"; {count(wave.pending, 'task')} of wave {wave.number} waiting for {WAITED_FOR[bound.bound]}"


def _settled(wave: WaveProgress, *, resumed: bool) -> str:
    after = format_duration(wave.duration_s or 0.0) + (" of work" if resumed else "")
    counts = f"{wave.success} of {count(wave.total, 'task')} succeeded"
    rest = {
        "failed": wave.failed - wave.skipped - wave.cancelled,
        VerdictKind.TIMEOUT.value: wave.timeout,
        VerdictKind.CANCELLED.value: wave.cancelled,
        VerdictKind.SKIPPED.value: wave.skipped,
        "retried": wave.retries,
    }
    more = "".join(f", {number} {word}" for word, number in rest.items() if number)
    return f"wave {wave.number} settled after {after}: {counts}{more}"
