"""What a person reads when agents have ended."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from wavepool.cli.agent_summary import print_agent_summary
from wavepool.listeners.agentwords import amount, diffstat, dollars


def entry(task_id: str, verdict: str | None = "success", **fields: Any) -> dict[str, Any]:
    agent = {"turns": 3, "tokens": {"total": 1500}, "cost_usd": 0.25, "final_text": "All  done\n", "problem": ""}
    changes = {"branch": f"feature/parallel-{task_id}", "files": 1, "insertions": 2, "deletions": 1, "problem": None}
    usual = {"agent": agent, "changes": {**changes, "patch": "artifacts/x.patch"}, "evidence": {}}
    return {"batch_id": task_id, "verdict": verdict, **usual, **fields}


def told(*entries: dict[str, Any], **fields: Any) -> str:
    """The summary of a run of these tasks."""
    agents = {"attempts": 2, "turns": 6, "tokens": {"total": 3000}, "cost_usd": 0.5, "attempts_without_cost": 0}
    good = sum(each["verdict"] == "success" for each in entries)
    result = {
        "run_id": "r1",
        "status": "success" if good == len(entries) else "failed",
        "metrics": {"success": good, "total": len(entries)},
        "waves": [{"containers": list(entries)}],
        "duration_s": 2.0,
        "since_start_s": 2.0,
        "execution_mode": "docker",
        "stopped_because": None,
        "left_behind": [],
        "agents": agents,
        **fields,
    }
    out = io.StringIO()
    print_agent_summary(result, Console(file=out, width=200, highlight=False), state_dir=Path("/state"))
    return out.getvalue()


def test_each_task_has_a_row_and_its_last_words() -> None:
    lines = told(entry("one"), entry("two")).splitlines()
    assert lines[0].split() == ["task", "verdict", "turns", "tokens", "cost", "changes", "branch"]
    assert lines[1].split() == ["one", "success", "3", "1.5k", "$0.25", "1", "file", "+2", "-1", "feature/parallel-one"]
    assert lines[3] == "one: All done"
    assert lines[5] == "success: 2 of 2 tasks succeeded in 2.0s (docker), run r1; 6 turns, 3.0k tokens, $0.50"
    assert "wavepool merge r1" in lines[6]
    assert "2 branches" in lines[6]


def test_what_did_not_succeed_says_why_and_what_to_do() -> None:
    failed = entry("bad", "failed", agent={**entry("x")["agent"], "problem": "it gave up"}, changes=None)
    lost = entry("lost", "lost", agent=None, changes=None, evidence={"reason": "its daemon went away"})
    text = told(failed, lost, entry("waits", None, agent=None, changes=None))
    assert "bad: it gave up" in text
    assert "lost: its daemon went away" in text
    assert "wavepool logs r1 bad" in text
    assert "wavepool retry r1 --failed" in text
    assert "wavepool merge" not in text
    assert "pending" in text


def test_an_interrupted_run_says_what_goes_on_with_it() -> None:
    """A resume leaves what was cancelled as it is; what waits for another attempt has no verdict yet."""
    cut = entry("cut", "cancelled", agent=None, changes=None)
    limited = entry("limited", None, agent=None, retried_because=["no more to give"], will_be_tried_again=True)
    text = told(entry("one"), limited, status="interrupted")
    assert "next: wavepool resume r1  goes on with 1 task\n" in text
    assert "limited: to be tried again after no more to give" in text
    assert "retry" not in text
    assert "wavepool merge r1   merges its one branch (" in text
    both = told(cut, limited, status="interrupted")
    assert "goes on with 1 task; not with 1 cancelled" in both
    assert both.count("wavepool retry r1 --failed") == 1
    assert "tries again what was cancelled or failed, and goes on with the rest" in both
    done = told(entry("one"), status="interrupted")
    assert "resume" not in done, "nothing is left to be done"


def test_work_that_did_not_come_back_is_told() -> None:
    changes = {**entry("x")["changes"], "branch": None, "problem": "a\x1b[31mlink"}
    text = told(entry("one", changes=changes))
    assert "not all of its work is back: a\\x1b[31mlink" in text
    assert "/state/runs/r1/artifacts/x.patch" in text


def test_a_bound_that_was_gone_above_at_the_end_is_told() -> None:
    assert "warning: its agent has cost $3.00, $1.00 allowed" in told(
        entry("one", warnings=["its agent has cost $3.00, $1.00 allowed"])
    )


def test_a_cost_that_some_did_not_tell_is_the_least() -> None:
    agents = {"attempts": 2, "turns": 6, "tokens": {"total": 3000}, "cost_usd": 0.5, "attempts_without_cost": 1}
    assert "at least $0.50" in told(entry("one"), agents=agents)
    assert "$" not in told(entry("one", agent=None), agents={**agents, "attempts_without_cost": 2})


def test_a_program_that_tells_of_no_turns_has_none() -> None:
    silent = {**entry("x")["agent"], "turns": 0, "tokens": {"total": 0}, "cost_usd": None}
    totals = {"attempts": 1, "turns": 0, "tokens": {"total": 0}, "cost_usd": 0.0, "attempts_without_cost": 1}
    text = told(entry("one", agent=silent), agents=totals)
    assert text.splitlines()[1].split()[:5] == ["one", "success", "–", "–", "–"]
    assert "turns," not in text


def test_more_tasks_than_a_person_reads_are_counted() -> None:
    text = told(*(entry(f"t{number}") for number in range(103)))
    assert "… and 3 more, in the results" in text


def test_words_for_amounts() -> None:
    assert [amount(n) for n in (0, 999, 1000, 45_240, 999_949, 1_300_000)] == [
        *("0", "999", "1.0k", "45.2k", "999.9k", "1.3M")
    ]
    assert [dollars(n) for n in (None, 0.0, 0.0012, 0.01, 12.345)] == ["–", "$0.00", "$0.0012", "$0.01", "$12.35"]
    assert diffstat(None) == "–"
    assert diffstat({"files": 0}) == "none"
    assert diffstat({"files": 3, "insertions": 4, "deletions": 0}) == "3 files +4 -0"
