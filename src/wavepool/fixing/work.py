"""What a run of batches has brought, read from its result; and which of its branches are merged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wavepool.core.fixes.values import LeftOut, Trouble, Worked
from wavepool.engine.merging import Branch, MergePlan, MergeReport

ENDED_BY_ITSELF = range(1, 126)
"""Exit codes by which a program says something: 126 and 127 are a shell's that found none, the rest are signals."""

Entry = Mapping[str, Any]


def worked_of(result: Mapping[str, Any], *, took_s: float) -> Worked:
    """The run, without what was merged of it.

    Args:
        result: as `RunReport.result` has it; ``interrupted`` in it says that there was a Ctrl-C, whatever it came to.
    """
    entries = list(entries_of(result))
    agents = result.get("agents") or {}
    return Worked(
        run_id=result.get("run_id"),
        succeeded=sum(each["verdict"] == "success" for each in entries),
        troubles=tuple(_trouble(each) for each in entries if each["verdict"] != "success"),
        agents=bool(agents),
        turns=agents.get("turns", 0),
        tokens=agents.get("tokens", {}).get("total", 0),
        cost_usd=agents.get("cost_usd", 0.0),
        cost_known=not agents.get("attempts_without_cost", 0),
        took_s=took_s,
        stopped_because=result.get("stopped_because"),
        interrupted=result["status"] == "interrupted" or bool(result.get("interrupted")),
        broken=result["status"] in ("infrastructure", "unfinished", "empty"),
    )


def merge_plan(result: Mapping[str, Any], workspace: Path) -> MergePlan:
    """What is merged: of an agent what succeeded; of a plain command what it left when it ended by itself.

    Tools that mend what they can exit with 1 where something is left; whether it was of use the next check says.
    """
    wanted = [each for each in entries_of(result) if _left_a_branch(each) and _is_wanted(each)]
    others = [each for each in entries_of(result) if _left_a_branch(each) and not _is_wanted(each)]
    return MergePlan(
        run_id=result.get("run_id", ""),
        workspace=workspace,
        branches=tuple(map(_branch, wanted)),
        unsuccessful=tuple(map(_branch, others)),
    )


def left_out_of(report: MergeReport) -> tuple[LeftOut, ...]:
    """What conflicted."""
    return tuple(
        LeftOut(batch_id=each.branch.task_id, branch=each.branch.name, files=each.files, problem=each.problem)
        for each in report.conflicts
    )


def entries_of(result: Mapping[str, Any]) -> Iterator[Entry]:
    """The batches of a run's result."""
    for wave in result["waves"]:
        yield from wave["containers"]


def _trouble(entry: Entry) -> Trouble:
    agent, evidence = entry.get("agent") or {}, entry.get("evidence") or {}
    why = agent.get("problem") or evidence.get("reason") or ""
    if not why and entry["exit_code"] is not None:
        why = f"exit code {entry['exit_code']}"
    return Trouble(batch_id=entry["batch_id"], verdict=entry["verdict"] or "pending", why=" ".join(str(why).split()))


def _left_a_branch(entry: Entry) -> bool:
    changes = entry.get("changes") or {}
    return bool(changes.get("branch") and changes.get("commit"))


def _is_wanted(entry: Entry) -> bool:
    if entry["verdict"] == "success":
        return True
    return entry["verdict"] == "failed" and entry.get("agent") is None and entry["exit_code"] in ENDED_BY_ITSELF


def _branch(entry: Entry) -> Branch:
    changes = entry["changes"]
    return Branch(
        task_id=entry["batch_id"], name=changes["branch"], commit=changes["commit"], base=changes.get("base") or ""
    )
