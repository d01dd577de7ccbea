"""A recovery as JSON, and its exit code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wavepool.engine.recover.findings import Action, Fate, Finding, Recovery
from wavepool.engine.recover.reaper import Reaped
from wavepool.engine.report import stamp

AWAY = 3
"""Exit code where an engine is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What was found, and what came of it. `reaped` None: it was only rehearsed.

    Attributes:
        unasked: engines that were not to be asked; they are no failure.
    """

    owner: str
    grace_s: float
    recovery: Recovery
    reaped: Reaped | None = None
    unasked: frozenset[str] = frozenset()

    @property
    def exit_code(self) -> int:
        """0 nothing is left to be done, 1 something could not be removed, 3 an engine is away."""
        if any(driver not in self.unasked for driver, _ in self.recovery.away):
            return AWAY
        return 1 if self.reaped is not None and self.reaped.problems else 0

    @property
    def knows_nothing(self) -> bool:
        """True where nothing was found at all, and every engine that was to be asked has answered."""
        return not self.recovery.runs and not self.recovery.loose and self.exit_code != AWAY

    def result(self) -> dict[str, object]:
        """The JSON object."""
        reaped = self.reaped
        return {
            "recovered_at": stamp(self.recovery.at),
            "owner": self.owner,
            "grace_s": self.grace_s,
            "dry_run": reaped is None,
            "exit_code": self.exit_code,
            "summary": self.summary(),
            "runs": [
                {"run_id": run.run.id, "state": run.run.state.value, "fate": run.fate.value, "why": run.why}
                | ({"resume": f"wavepool resume {run.run.id}"} if run.run.state.value == "unfinished" else {})
                for run in self.recovery.runs
            ],
            "findings": [self._entry(finding) for finding in self.recovery.findings()],
            "acts": [act_json(finding, action) for finding, action in acts_of(self.recovery)],
            "away": dict(self.recovery.away),
        } | (
            {}
            if reaped is None
            else {
                "done": [act_json(finding, action) for finding, action in reaped.done],
                "problems": reaped.problems,
                "skipped": reaped.skipped,
                "logs": sorted(reaped.logs),
                "resumed": reaped.resumed,
            }
        )

    def summary(self) -> str:
        """One sentence."""
        findings = self.recovery.findings()
        acts = list(acts_of(self.recovery))
        left = [run for run in self.recovery.runs if run.fate is Fate.LEAVE]
        if self.reaped is None:
            text = f"Would do {_count(len(acts), 'act')} about {_count(len(findings), 'finding')}; nothing was done"
        elif not findings:
            unknown = ", ".join(driver for driver, _ in self.recovery.away if driver not in self.unasked)
            text = "Nothing is left of any dead run" + (f" outside {unknown}, which did not answer" if unknown else "")
        else:
            removed = sum(action is Action.REMOVE for _, action in self.reaped.done)
            text = f"Removed {_count(removed, 'thing')}"
            if self.reaped.resumed:
                text += f", resumed {_count(len(self.reaped.resumed), 'run')}"
            if self.reaped.problems:
                text += f", {len(self.reaped.problems)} could not be dealt with"
        return f"{text}, left {_count(len(left), 'run')} alone" if left else text

    def _entry(self, finding: Finding) -> dict[str, object]:
        since = finding.since
        age_s = None if since is None else round(max(0.0, (self.recovery.at - since).total_seconds()), 3)
        return {
            "kind": finding.kind.value,
            "name": finding.name,
            "id": finding.id,
            "run_id": finding.run_id,
            "what": finding.what,
            "condition": finding.condition,
            "since": stamp(since),
            "age_s": age_s,
            "acts": [action.value for action in finding.acts],
            "why": finding.why,
        }


def acts_of(recovery: Recovery) -> Iterator[tuple[Finding, Action]]:
    """All acts, in the order of the findings."""
    for finding in recovery.findings():
        for action in finding.acts:
            yield finding, action


def act_json(finding: Finding, action: Action) -> dict[str, object]:
    """One act: what, to which thing, and its cause."""
    return {
        "action": action.value,
        "kind": finding.kind.value,
        "name": finding.name,
        "id": finding.id,
        "run_id": finding.run_id,
        "cause": finding.why,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
