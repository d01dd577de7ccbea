"""What import-linter cannot say without naming every file: some libraries stay behind one file each."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import wavepool

SOURCE = Path(wavepool.__file__).parent

ONLY_IN = {
    "aiodocker": ["drivers/docker/api.py"],
    "sqlite3": ["journal", "learning/store.py"],
    "typer": ["cli"],
    "rich": ["cli", "listeners"],
    "psutil": ["host", "drivers/process"],
    "pydantic": ["config", "plan/diagnostics/sarif", "web/api"],
    "sarif_pydantic": ["plan/diagnostics/sarif"],
    "ijson": ["plan/diagnostics/documents.py", "plan/diagnostics/sarif_walk.py"],
    "yaml": ["inputs/yamltext.py"],
    "msgspec": [
        "web",
        "journal",
        "listeners",
        "cli/output.py",
        "model/diagnostics.py",
        "plan/diagnostics",
        "plan/making/findings.py",
    ],
}


@cache
def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in plain | named}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_stays_where_it_belongs(library: str) -> None:
    users = [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if library in imported(path)]
    homes = tuple(ONLY_IN[library])
    assert users, f"nobody uses {library}: drop the dependency"
    assert [user for user in users if not user.startswith(homes)] == []


def test_tasks_are_started_in_task_groups_only() -> None:
    banned = ("asyncio.create_task", "asyncio.gather", "asyncio.ensure_future")
    hits = [str(path) for path in SOURCE.rglob("*.py") for word in banned if f"{word}(" in path.read_text("utf-8")]
    assert hits == []
