"""From a look to findings: whose each thing is, what is to be done about it, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from wavepool import labels
from wavepool.drivers.holdings import HeldContainer, HeldNetwork, HeldSecrets
from wavepool.engine.recover.findings import Action, Fate, Finding, Recovery, RunFindings, ThingKind
from wavepool.engine.recover.runs import RunLook, RunState
from wavepool.engine.recover.survey import Snapshot
from wavepool.units import format_duration

EXEC_LIFETIME_S = 12 * 3600.0
"""How long somebody may look into a kept file system before a shell counts as forgotten."""

PROCESS_DRIVER = "process"
_STACK, _EXEC = "stack", "exec"
_REMOVE = (Action.REMOVE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the user asked for.

    Attributes:
        grace_s: how long a dead run is left for a resume, at least 0.
        adopt: go on with unfinished runs instead of leaving or reaping them.
    """

    grace_s: float
    adopt: bool = False


def classify(snapshot: Snapshot, terms: Terms) -> Recovery:
    """What is to be done about everything in the snapshot."""
    runs = tuple(_RunCase(snapshot, terms, run).findings() for run in snapshot.runs.values())
    going = {each.id for run in runs for each in run.findings if Action.REMOVE in each.acts and each.id}
    waiting = any(run.run.state is RunState.UNFINISHED and run.fate in (Fate.LEAVE, Fate.ADOPT) for run in runs)
    loose = (
        *(_loose_container(each, snapshot) for each in snapshot.containers if not each.labels.get(labels.RUN)),
        *(
            _loose_network(each, snapshot, going, waiting=waiting)
            for each in snapshot.networks
            if not each.labels.get(labels.RUN)
        ),
    )
    # A run of which nothing is there, and about which nothing is to be done, is no finding.
    told = tuple(run for run in runs if run.findings)
    return Recovery(at=snapshot.at, runs=told, loose=loose, away=tuple(sorted(snapshot.away.items())))


class _RunCase:
    """One run and its things."""

    def __init__(self, snapshot: Snapshot, terms: Terms, run: RunLook) -> None:
        self._snapshot = snapshot
        self._terms = terms
        self._run = run
        self._containers = [each for each in snapshot.containers if each.labels.get(labels.RUN) == run.id]
        self._networks = [each for each in snapshot.networks if each.labels.get(labels.RUN) == run.id]
        self._secrets = [each for each in snapshot.secrets if each.run_id == run.id]
        self._fate, self._why = self._decide()

    def findings(self) -> RunFindings:
        found = [self._container(each) for each in self._containers]
        going = {each.id for each in found if Action.REMOVE in each.acts}
        stay = {each.name for each in self._containers if each.id not in going}
        found += [self._network(each, going) for each in self._networks]
        found += [self._secret(each, stay) for each in self._secrets]
        files = list(self._files(stay))
        if self._run.state is RunState.UNFINISHED or ((found or files) and self._run.state is not RunState.MISSING):
            found.append(self._itself())  # before the slots: their marks tell what was started
        found += files
        return RunFindings(run=self._run, fate=self._fate, why=self._why, findings=tuple(found))

    # -- the run --

    def _decide(self) -> tuple[Fate, str]:
        run = self._run
        match run.state:
            case RunState.LIVE:
                return Fate.LEAVE, f"the run is live (process {run.holder or 'unknown'})"
            case RunState.UNFINISHED:
                return self._of_unfinished()
            case RunState.OVER:
                return self._unless_away(Fate.SWEEP, "the run is over, and nobody needs it any more")
            case RunState.DAMAGED:
                return self._after_grace(f"its journal cannot be read, and is left as it is: {run.problem}")
            case RunState.UNJOURNALED:
                return self._after_grace("nobody holds it, and there is no journal to go on with")
            case RunState.MISSING:
                return self._after_grace("the directory of its run does not exist")

    def _of_unfinished(self) -> tuple[Fate, str]:
        age = self._age(self._run.last_sign)
        command = f"`wavepool resume {self._run.id}`"
        if self._terms.adopt:
            return self._unless_away(Fate.ADOPT, f"its process died {age} ago, and --resume goes on with it")
        if not self._is_past_grace(self._run.last_sign):
            left = self._terms.grace_s - self._age_s(self._run.last_sign)
            return Fate.LEAVE, f"its process died {age} ago: {command} goes on with it; reaped in {_words(left)}"
        grace = _words(self._terms.grace_s)
        return self._unless_away(Fate.REAP, f"its process died {age} ago, longer than the grace of {grace}")

    def _after_grace(self, why: str) -> tuple[Fate, str]:
        """For what no journal speaks of: the newest sign of all that is there of it."""
        since = [each.since for each in self._containers]
        since += [each.since for each in self._networks]
        since += [each.since for each in self._secrets]
        since += [] if self._run.last_sign is None else [self._run.last_sign]
        newest = max(since, default=None)
        if not self._is_past_grace(newest):
            return Fate.LEAVE, f"{why}; left until the grace of {_words(self._terms.grace_s)} is over"
        return self._unless_away(Fate.SWEEP, f"{why}; its last sign of life is {self._age(newest)} old")

    def _unless_away(self, fate: Fate, why: str) -> tuple[Fate, str]:
        """Nothing is done about a run whose engine cannot tell what it has."""
        away = [driver for driver in self._snapshot.away if self._run.driver in ("", driver)]
        if away:
            return Fate.LEAVE, f"{why}, but {away[0]} cannot be asked what is there of it"
        return fate, why

    def _itself(self) -> Finding:
        acts: tuple[Action, ...] = ()
        if self._fate is Fate.ADOPT:
            acts = (Action.RESUME_RUN,)
        elif self._fate is Fate.REAP:
            acts = (Action.CLOSE_RUN,)
        return Finding(
            kind=ThingKind.RUN,
            name=self._run.id,
            run_id=self._run.id,
            what="run",
            condition=self._run.outcome.value if self._run.outcome is not None else self._run.state.value,
            since=self._run.last_sign,
            why=self._why,
            acts=acts,
        )

    # -- its things --

    @property
    def _goes(self) -> bool:
        return self._fate in (Fate.REAP, Fate.SWEEP)

    def _container(self, held: HeldContainer) -> Finding:
        stays = self._reason_to_stay(held)
        if stays is None and labels.DETACHED in held.labels:
            why = "it was spawned, and its lifetime is over"
            return _of_container(held, why, _acts_on(held))
        return _of_container(held, stays or self._why, () if stays is not None else _acts_on(held))

    def _reason_to_stay(self, held: HeldContainer) -> str | None:
        """None where it is to go."""
        if self._run.state is RunState.LIVE:
            return self._why
        if held.labels.get(labels.ROLE) == _STACK:
            return _OWN_STACK
        if held.labels.get(labels.ROLE) == _EXEC and held.running and self._age_s(held.since) < EXEC_LIFETIME_S:
            return "somebody may be working in it; it goes when it has ended"
        if labels.DETACHED in held.labels:
            return self._lifetime(held)
        return None if self._goes else self._why

    def _lifetime(self, held: HeldContainer) -> str | None:
        end = held.labels.get(labels.LIFETIME_END, "")
        if not end.isdigit():
            return "it was spawned, and has no end of its lifetime: `wavepool cleanup` removes it"
        left = int(end) - self._snapshot.at.timestamp()
        return None if left <= 0 else f"it was spawned; its lifetime ends in {_words(left)}"

    def _network(self, held: HeldNetwork, going: set[str]) -> Finding:
        others = held.users - going
        if self._run.state is RunState.LIVE or not (self._goes or self._is_all_spawned()):
            return _of_network(held, self._why)
        if others:
            return _of_network(held, f"in use by {_count(len(others), 'container')} that will stay")
        return _of_network(held, f"{self._why}; nothing uses it then", _REMOVE)

    def _is_all_spawned(self) -> bool:
        return bool(self._containers) and all(labels.DETACHED in each.labels for each in self._containers)

    def _secret(self, held: HeldSecrets, stay: set[str]) -> Finding:
        keep = held.name in stay or not self._goes
        return Finding(
            kind=ThingKind.SECRETS,
            name=held.name,
            run_id=self._run.id,
            what="secrets",
            since=held.since,
            why=self._why,
            acts=() if keep else _REMOVE,
            held=held,
        )

    def _files(self, stay: set[str]) -> Iterator[Finding]:
        """Slots stay while anything of the run does: marks in them say what was started."""
        acts = _REMOVE if self._goes and not stay else ()
        for name in self._run.slots:
            yield Finding(kind=ThingKind.SLOT, name=name, run_id=self._run.id, what="slot", why=self._why, acts=acts)
        if self._run.has_socket:
            yield Finding(
                kind=ThingKind.SOCKET,
                name="control.sock",
                run_id=self._run.id,
                what="socket",
                why=self._why,
                acts=_REMOVE if self._goes else (),
            )

    # -- time --

    def _age_s(self, since: datetime | None) -> float:
        return _age_s(self._snapshot.at, since)

    def _age(self, since: datetime | None) -> str:
        return "an unknown time" if since is None else _words(self._age_s(since))

    def _is_past_grace(self, since: datetime | None) -> bool:
        """Where nothing tells a time there is nothing that could be young."""
        return since is None or self._snapshot.at - since >= timedelta(seconds=self._terms.grace_s)


_OWN_STACK = "it is a stack of yours: `wavepool stack down` removes it"


def _loose_container(held: HeldContainer, snapshot: Snapshot) -> Finding:
    stack = held.labels.get(labels.ROLE) == _STACK
    return _of_container(held, _OWN_STACK if stack else "no label says which run it belongs to")


def _loose_network(held: HeldNetwork, snapshot: Snapshot, going: set[str], *, waiting: bool) -> Finding:
    if held.labels.get(labels.SCOPE) == _STACK or labels.STACK in held.labels:
        return _of_network(held, _OWN_STACK)
    if held.name in snapshot.leased:
        return _of_network(held, "a live run uses it")
    others = held.users - going
    if others:
        return _of_network(held, f"in use by {_count(len(others), 'container')} that will stay")
    if waiting:
        return _of_network(held, "a run that can be gone on with may need it")
    return _of_network(held, "nothing uses it then, and no live run holds it", _REMOVE)


def _of_container(held: HeldContainer, why: str, acts: tuple[Action, ...] = ()) -> Finding:
    is_process = held.driver == PROCESS_DRIVER
    role = held.labels.get(labels.ROLE, "attempt")
    return Finding(
        kind=ThingKind.PROCESS if is_process else ThingKind.CONTAINER,
        name=held.name,
        id=held.id,
        run_id=held.labels.get(labels.RUN, ""),
        what="spawned" if labels.DETACHED in held.labels and role == "attempt" else role,
        condition="running" if held.running else "exited" if held.started else "created",
        since=held.since,
        why=why,
        acts=acts,
        held=held,
    )


def _of_network(held: HeldNetwork, why: str, acts: tuple[Action, ...] = ()) -> Finding:
    return Finding(
        kind=ThingKind.NETWORK,
        name=held.name,
        id=held.id,
        run_id=held.labels.get(labels.RUN, ""),
        what=f"{held.labels.get(labels.SCOPE, 'unmarked')} network",
        since=held.since,
        why=why,
        acts=acts,
        held=held,
    )


def _acts_on(held: HeldContainer) -> tuple[Action, ...]:
    """Ended first, so that its whole output is kept."""
    acts: list[Action] = [Action.STOP] if held.running else []
    if held.started:
        acts.append(Action.ARCHIVE_LOG)
    return (*acts, Action.REMOVE)


def _age_s(at: datetime, since: datetime | None) -> float:
    """At least 0: a clock that was put back makes nothing old."""
    return 0.0 if since is None else max(0.0, (at - since).total_seconds())


def _words(seconds: float) -> str:
    return format_duration(seconds) if seconds > 0 else "0s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
