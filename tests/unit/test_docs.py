"""The documents say what there is: every setting, option, field and verdict, and only tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer

from wavepool.cli import app
from wavepool.config import Settings
from wavepool.config.settings import source_of
from wavepool.errors import PlanError
from wavepool.inputs.environment import FORBIDDEN_VARIABLES
from wavepool.inputs.poolfields import FIELDS
from wavepool.inputs.pools import ALERT_FIELDS, LIMIT_FIELDS, SETTING_FIELDS, parse_pools
from wavepool.model import Evidence, VerdictKind
from wavepool.plan import TierMap, parse_plan
from wavepool.units import format_size

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NO_DEFAULT = {None: "none", True: "true", False: "false"}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of each row of every table whose first heading is `heading`, without the headings and their rules."""
    found: list[list[str]] = []
    inside = False
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith(f"| {heading} |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|--"):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


OF_ANOTHER_MEANING = {"--grace"}
"""Options that are spelled as a setting would be, and are none: `recover` has a grace for whole runs."""


def plain(cell: str) -> str:
    return cell.removeprefix("`").removesuffix("`")


def shown(value: object) -> str:
    """A default as the table writes it."""
    if value is None or isinstance(value, bool):
        return NO_DEFAULT[value]
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def options_by_command() -> dict[str, set[str]]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        verb: {
            spelled
            for option in command.params
            for spelled in (*option.opts, *option.secondary_opts)
            if spelled.startswith("-")
        }
        for verb, command in commands.items()
    }


# -- settings.md --


def test_the_table_of_settings_is_complete() -> None:
    assert [plain(row[0]) for row in rows("settings.md", "name")] == list(Settings.model_fields)


@pytest.mark.parametrize("row", rows("settings.md", "name"), ids=lambda row: plain(row[0]))
def test_each_setting_is_told_as_it_is(row: list[str]) -> None:
    name, option, seed, default, expected, meaning = (plain(cell) for cell in row)
    source = source_of(name)
    assert seed == (source.seed or "")
    assert expected == source.expected
    assert meaning
    if name != "state_dir":
        assert default == shown(Settings.model_fields[name].default)
    every = set().union(*options_by_command().values()) - OF_ANOTHER_MEANING
    usual = source.option or f"--{name.replace('_', '-')}"
    assert option == (usual if usual in every else "--output-dir" if name == "log_dir" else "")


def test_the_table_of_options_is_complete() -> None:
    told: dict[str, set[str]] = {verb: set() for verb in options_by_command()}
    for option, verbs, _ in rows("settings.md", "option"):
        for verb in plain(verbs).split(", "):
            told[verb].add(plain(option))
    assert told == options_by_command()


def test_an_option_that_is_no_setting_says_what_it_means() -> None:
    settings = {plain(row[1]) for row in rows("settings.md", "name")}
    for option, *_, meaning in rows("settings.md", "option"):
        assert meaning or plain(option) in settings, option


# -- plan.md --


def test_every_field_of_a_plan_is_told() -> None:
    told = {plain(row[0]) for row in rows("plan.md", "field")}
    asked_for = _keys_asked_for("plan/batches.py", "batch", "extra") | _keys_asked_for("plan/parsing.py", "wave")
    assert {"batch_id", "depends_on", "wave_number"} <= asked_for
    assert told - {"anything else"} == asked_for


def _keys_asked_for(path: str, *mappings: str) -> set[str]:
    """The literal keys that a module takes from mappings of these names with `get`."""
    module = ast.parse((ROOT / "src" / "wavepool" / path).read_text())
    return {
        call.args[0].value
        for call in ast.walk(module)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "get"
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in mappings
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def test_every_variable_that_is_refused_is_named() -> None:
    text = (DOCS / "plan.md").read_text()
    assert [name for name in FORBIDDEN_VARIABLES if f"`{name}`" not in text] == []


def test_the_whole_example_is_the_file_and_a_plan() -> None:
    raw = (ROOT / "examples" / "full-plan.json").read_bytes()
    assert raw.decode().strip() in (DOCS / "plan.md").read_text()
    plan = parse_plan(raw, source="full-plan.json", tiers=TierMap())
    assert plan.warnings == ()
    assert (plan.tasks[1].tier, plan.tasks[1].extra) == (2, {"team": "blue"})


def test_the_message_of_the_example_is_the_one_that_is_said() -> None:
    broken = b'{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "memory": "1e9g"}]}]}'
    with pytest.raises(PlanError) as caught:
        parse_plan(broken, source="broken.json", tiers=TierMap())
    for page in (DOCS / "plan.md", ROOT / "README.md"):
        assert f"error: {caught.value}" in page.read_text()


# -- verdicts.md --


def test_every_verdict_and_every_piece_of_evidence_is_told() -> None:
    told = " ".join(row[0] for row in rows("verdicts.md", "verdict"))
    assert [kind for kind in VerdictKind if f"`{kind}`" not in told] == []
    evidence = " ".join(row[0] for row in rows("verdicts.md", "field"))
    assert [name for name in Evidence.__dataclass_fields__ if f"`{name}`" not in evidence] == []


def test_every_command_has_its_exit_codes() -> None:
    told = {plain(verb) for row in rows("verdicts.md", "command") for verb in row[0].split(", ")}
    assert told == set(options_by_command())


# -- pools --


def test_the_table_of_pool_settings_is_complete() -> None:
    assert [plain(row[0]) for row in rows("settings.md", "pool setting")] == list(FIELDS)


def defaults_of_pools() -> dict[str, object]:
    """What each setting of pools is where nobody says anything."""
    config = parse_pools({})
    spec = config.of("unknown")
    found: dict[str, object] = {name: getattr(spec.agent, name) for name in ("image", "user", "network", "workspace")}
    found |= {name: getattr(spec.agent.limits, inside) for name, inside in LIMIT_FIELDS.items()}
    found |= {name: getattr(spec.settings, inside) for name, inside in SETTING_FIELDS.items()}
    found |= {name: getattr(config.alerts, inside) for name, inside in ALERT_FIELDS.items()}
    found |= {"memory": format_size(spec.agent.limits.memory_bytes), "environment": None, "preset": "default"}
    found |= {"warm": config.warm, "timeout": config.timeout_s, "preload_images": config.preload}
    return found | {"log_level": config.log_level}


@pytest.mark.parametrize("row", rows("settings.md", "pool setting"), ids=lambda row: plain(row[0]))
def test_each_pool_setting_is_told_as_it_is(row: list[str]) -> None:
    name, seed, default, expected, meaning = (plain(cell) for cell in row)
    field = FIELDS[name]
    assert seed == (field.seed or "")
    assert expected == field.expected
    assert meaning
    assert default == shown(defaults_of_pools().get(name, True))  # the others are switches that cannot be off


# -- from-the-seeds.md, and all pages --


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the test functions and methods of one file, without running it."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def references() -> list[tuple[str, str]]:
    text = "".join((DOCS / page).read_text() for page in ("from-the-seeds.md", "verdicts.md"))
    return sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", text)))


def test_every_test_that_is_named_exists() -> None:
    named = references()
    assert len(named) > 100
    missing = [f"{path}::{name}" for path, name in named if not (ROOT / path).is_file() or name not in names_in(path)]
    assert missing == []


@pytest.mark.parametrize("heading", ["row", "item", "case"])
def test_every_row_names_a_test(heading: str) -> None:
    for row in rows("from-the-seeds.md", heading):
        assert ".py::" in row[-1], row[0]


def test_all_rows_are_there_in_their_order() -> None:
    """Rows 1 to 14 of seeds 000 and 001, and of seeds 003 and 004 those that are done."""
    told = [int(row[0]) for row in rows("from-the-seeds.md", "row")]
    assert told[:14] == list(range(1, 15))
    assert told[14:] == sorted(set(told[14:]) & set(range(23, 32)))
    assert {23, 24, 27, 29} <= set(told)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    named = set(re.findall(r"`((?:[\w-]+/)+[\w-]+\.(?:py|json|md|sql))`", page.read_text()))
    places = (ROOT, ROOT / "src" / "wavepool", DOCS)
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []
