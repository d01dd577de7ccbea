"""Reports of a simulated run: each form is read back by whoever it is for, whatever ids, reasons and logs hold."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # rich brings it
from pydantic import TypeAdapter
from typer.testing import CliRunner

from wavepool.cli import app
from wavepool.core.events import Now
from wavepool.drivers.memory import MemoryWorld
from wavepool.engine.history.runs import find_run
from wavepool.errors import InfrastructureError, InputError, JournalError, SettingError
from wavepool.listeners.wording import printable
from wavepool.model import Node, Resources, Rules
from wavepool.monitoring.documents.runs import RunDocument, TaskEntry
from wavepool.monitoring.runs.folds import TaskFold
from wavepool.plan import TierMap, parse_plan
from wavepool.reporting import page
from wavepool.reporting.formats import Format
from wavepool.reporting.junit import case_of, junit_of
from wavepool.reporting.load import LoadFold
from wavepool.reporting.markdown import code, fenced, markdown_of, shown
from wavepool.reporting.page import chosen, data_of, shortened
from wavepool.reporting.tails import TAIL_BYTES, TAIL_LINES, Tail, plain_text, read_tail
from wavepool.reporting.telling import Told
from wavepool.statedir import StateDir
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import random_scenario
from wavepool.testing.whole_runs import SimulatedRun
from wavepool.units import GIB

HOSTILE = "</script><script>alert(1)</script>"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ATTRIBUTES: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": (set(), set()),
    "testsuite": (
        {"id", "name", "package", "timestamp", "hostname", "tests", "failures", "errors", "time"},
        {"skipped"},
    ),
    "properties": (set(), set()),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, set()),
    "failure": ({"type"}, {"message"}),
    "error": ({"type"}, {"message"}),
    "skipped": (set(), {"type", "message"}),
    "system-out": (set(), set()),
    "system-err": (set(), set()),
}
"""Those that an element must have, and may have, by Ant's schema and by that of the Jenkins xUnit plugin (junit-10)."""

ANYTHING = st.text(st.characters(exclude_categories=()))
"""Control characters, and halves of surrogate pairs, too."""

COMMANDS = {
    1: {"good": ["sim", "stdout=fine"], "bad": ["sim", "exit=3", f"stdout={HOSTILE}\x1b[31m | `x`\x07"]},
    2: {HOSTILE: ["sim", "exit=1"], "a|b\n#1": ["sim"], "oom": ["sim", "oom"]},
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    waves = [
        {
            "wave_number": number,
            "batches": [
                {"batch_id": name, "memory": "64m", "files": [], "command": command, "env": {"TOKEN": "s3cret"}}
                for name, command in commands.items()
            ],
        }
        for number, commands in COMMANDS.items()
    ]
    plan = parse_plan(json.dumps({"waves": waves}).encode(), source="plan", tiers=TierMap())
    rules = Rules(nodes=(Node(name="local", capacity=Resources(GIB)),), max_attempts=2, keep_going=True)
    run = SimulatedRun(plan=plan, rules=rules, world=MemoryWorld(), directory=tmp_path_factory.mktemp("state"))
    run.process()
    damaged = StateDir(run.directory).run("damaged")
    damaged.create()
    damaged.journal.write_bytes(b"no database" * 1000)
    StateDir(run.directory).run("never-began").create()
    return run.directory


@pytest.fixture
def told(directory: Path) -> Told:
    return Told(find_run(StateDir(directory), "simulated"), Now(0.0, NOW))


def call(directory: Path, *arguments: str) -> str:
    """Stdout of the verb. What it raises comes out as it is."""
    done = CliRunner().invoke(app, ["report", *arguments, "--state-dir", str(directory)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


# -- JUnit --


def test_a_suite_for_each_wave_and_a_case_for_each_task(told: Told) -> None:
    suites = ElementTree.fromstring(junit_of(told)).findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["wave 1", "wave 2"]
    for suite, commands in zip(suites, COMMANDS.values(), strict=True):
        assert {case.get("name") for case in suite.iter("testcase")} == set(commands)
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(name) == str(len(list(suite.iter(tag))))
        assert suite.get("tests") == str(len(commands))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp") or "")
        assert [child.tag for child in suite if child.tag != "testcase"] == ["properties", "system-out", "system-err"]
    for element in ElementTree.fromstring(junit_of(told)).iter():
        wanted, allowed = ATTRIBUTES[element.tag]
        assert wanted <= set(element.keys()) <= wanted | allowed, element.tag
    [bad] = [case for case in suites[0].iter("testcase") if case.get("name") == "bad"]
    assert [child.tag for child in bad] == ["failure"]
    text = bad[0].text or ""
    assert (bad[0].get("type"), bad[0].get("message")) == ("failed", "it ended with exit code 3")
    assert "attempt 2 of 2: failed" in text
    assert f"{HOSTILE} | `x`" in text


def entry_of(state: str, *, task_id: str = "t", why: str = "because", evidence: str = "e") -> TaskEntry:
    attempt = {"number": 1, "state": state, "intended_at": "2026-11-27T12:00:00.000Z", "evidence": [evidence]}
    return TypeAdapter(TaskEntry).validate_python(
        {
            "key": "t-1",
            "id": task_id,
            "wave": 1,
            "place": 0,
            "state": state,
            "why": why,
            "attempts": {"1": attempt},
        }
    )


@pytest.mark.parametrize(
    ("state", "tag"),
    [
        ("success", None),
        *((each, "failure") for each in ("failed", "timeout", "oom", "watchdog")),
        *((each, "error") for each in ("start_error", "lost", "cancelled", "rate_limited")),
        *((each, "skipped") for each in ("skipped", "pending", "running", "retrying")),
    ],
)
def test_each_state_is_what_a_ci_system_makes_of_it(state: str, tag: str | None) -> None:
    assert [child.tag for child in case_of(entry_of(state), 1.5, None, NOW)] == ([] if tag is None else [tag])


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_any_text_is_xml(task_id: str, why: str, evidence: str, log: str) -> None:
    entry = entry_of("failed", evidence=evidence)
    entry["id"], entry["why"] = task_id, why
    case = case_of(entry, 0.0, Tail(attempt=1, text=log), NOW)
    again = ElementTree.fromstring(ElementTree.tostring(case, encoding="unicode").encode("utf-8"))
    assert again.get("name") == case.get("name")
    assert again[0].get("message") == case[0].get("message")
    assert (again[0].text or "") == re.sub("\r\n?", "\n", case[0].text or "")


# -- Markdown --


def test_markdown_has_the_figures_and_what_failed(told: Told) -> None:
    text = markdown_of(told)
    assert text.startswith("## Run <code>simulated</code> failed\n\n**2 of 5 tasks succeeded**, 3 failed, took")
    assert "| <code>bad</code> | 1 | failed | 2 |" in text
    assert "<script>" not in re.sub(r"```text\n.*?```", "", text, flags=re.DOTALL)
    assert f"```text\n{HOSTILE} | `x`\n```" in text


@pytest.mark.parametrize(
    ("spent", "words"),
    [
        ({"tokens": 1200}, ", 1,200 tokens."),
        ({"spent_usd": 0.5, "tokens": 1200}, ", $0.50, 1,200 tokens."),
        ({"spent_usd": 0.5, "tokens": 0}, ", $0.50."),
        ({"tokens": 0}, "."),
    ],
)
def test_markdown_tells_no_cost_that_nobody_told(told: Told, spent: dict[str, float], words: str) -> None:
    told.line.update(spent)  # type: ignore[typeddict-item]
    line = markdown_of(told).splitlines()[2]
    assert line.endswith(words)
    assert ("$" in line) == ("spent_usd" in spent)
    assert ("tokens" in line) == (spent["tokens"] > 0)


@given(ANYTHING)
def test_a_text_in_markdown_stands_for_itself(text: str) -> None:
    cell = shown(text, 1000)
    assert html.unescape(cell) == printable(text, 1000)
    assert not set("`*_[]<>|~@$\\\n") & set(cell)
    assert re.sub(r"&#\d+;", "", cell).count("#") == 0


@given(ANYTHING, ANYTHING)
def test_a_table_has_its_cells_and_each_its_text(one: str, other: str) -> None:
    row = f"| {code(one, 1000)} | {shown(other, 1000)} |"
    page = MarkdownIt("commonmark").enable("table").render(f"| a | b |\n|---|---|\n{row}\n")
    cells = re.findall(r"<td>(.*?)</td>", page)
    assert len(cells) == 2
    plain = [html.unescape(re.sub("</?code>", "", cell)).strip() for cell in cells]
    assert plain == [printable(each, 1000).strip() for each in (one, other)]


@given(st.text("`a\n"))
def test_no_line_ends_its_fence(text: str) -> None:
    opening, inside, closing = fenced(text)
    assert inside == text
    assert closing + "text" == opening
    assert closing not in text


# -- JSON --


def test_json_is_the_document_with_every_task_and_the_results(told: Told, directory: Path) -> None:
    document = json.loads(call(directory, "simulated", "--format", "json"))
    results = document.pop("results")
    load = document.pop("load")
    TypeAdapter(RunDocument).validate_python(document)
    assert {task["id"] for task in document["tasks"].values()} == {name for each in COMMANDS.values() for name in each}
    assert results == json.loads(json.dumps(find_run(StateDir(directory), "simulated").report().result()))
    assert results["status"] == "failed"
    assert max(load["attempts"]) == document["efficiency"]["peak"]
    assert document["run"]["state"] == "failed"
    assert {each: told.entry(each) for each in told.ids} == {task["id"]: task for task in document["tasks"].values()}


def test_values_of_variables_are_in_no_form(directory: Path) -> None:
    for form in (each for each in Format if each is not Format.HTML):
        assert "s3cret" not in call(directory, "simulated", "--format", form)


# -- the page --


def test_no_tag_can_end_within_the_data(told: Told) -> None:
    data = data_of(told)
    assert "<" not in data
    assert data.isascii()
    found = json.loads(data)
    assert found["left_out"] == {"tasks": 0, "logs": 0, "left_behind": 0}
    assert HOSTILE in {task["id"] for task in found["tasks"].values()}
    assert [log["text"] for log in found["logs"].values() if log["text"]] == [f"{HOSTILE} | `x`"]
    assert "s3cret" not in data


def test_what_failed_is_shown_first_and_the_rest_said_to_be_left_out(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [told.state(each) for each in chosen(told, 3)] == ["failed", "failed", "oom"]
    assert chosen(told, 4) == [each for each in told.ids if each in {*told.failed, *chosen(told, 4)}]
    monkeypatch.setattr(page, "LOGS", 1)
    assert json.loads(data_of(told))["left_out"]["logs"] == 2


def test_long_texts_and_lists_are_cut() -> None:
    assert shortened({"a": ["x" * 5000] * 100}) == {"a": ["x" * 1999 + "…"] * 50}


# -- logs --


def test_the_end_of_a_log_is_whole_lines_without_what_acts_on_a_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\x1b]0;title\x07\x1b[1;31mred\x1b[0m\r\n10%\r50%\r100%\nbell\x07 \xff\x00 \xe2\x80\xaetxt\n")
    tail = read_tail(log, 2)
    assert tail == Tail(attempt=2, text="red\n100%\nbell � txt")
    log.write_bytes(b"".join(b"%06d \xc3\xa4\n" % number for number in range(100_000)))
    tail = read_tail(log, 1)
    lines = tail.text.split("\n")
    assert (tail.cut, len(lines), lines[-1]) == (True, TAIL_LINES, "099999 ä")
    log.write_bytes(b"x" * 100_000)
    assert read_tail(log, 1) == Tail(attempt=1, text="x" * TAIL_BYTES, cut=True)
    missing = read_tail(tmp_path / "none", 1)
    assert (missing.text, missing.problem) == ("", "its log cannot be read: No such file or directory")


@given(ANYTHING)
def test_plain_text_has_no_control_characters(text: str) -> None:
    assert not [each for each in plain_text(text) if ord(each) < 32 and each not in "\t\n"]


# -- over time --


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("most", [5, 600])
def test_the_load_never_hides_a_peak_and_is_bounded(seed: int, most: int) -> None:
    fold, load = TaskFold(), LoadFold()
    journal = Simulation(random_scenario(seed)).run().journal
    for stamped in journal:
        fold.take(stamped)
        load.take(stamped, fold.progress.work.seconds)
    now = Now(0.0, NOW)
    graph = load.graph(fold.progress.elapsed_s(now), most)
    assert max(graph["attempts"]) == fold.efficiency(now)["peak"]
    assert graph["at"] == sorted(graph["at"])
    assert len(graph["at"]) == len(graph["attempts"]) == len(graph["held_bytes"]) <= most + 1
    assert graph["attempts"][-1] == len(fold.under_way) or not fold.progress.outcome


# -- the verb --


def test_the_form_follows_the_files_name(directory: Path, tmp_path: Path) -> None:
    for name, start in (("a.xml", "<?xml"), ("b.md", "## Run"), ("c.JSON", "{")):
        target = tmp_path / name
        assert call(directory, "simulated", "--output", str(target)) == f"{target}\n"
        assert target.read_text().startswith(start)
    assert call(directory, "simulated", "--format", "junit", "--output", "-").startswith("<?xml")
    assert Format.of_file("report") is None
    assert Format.of_file("x.html") is Format.HTML


def test_what_is_refused_says_why_and_what_to_do(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no run 'simulatde'") as unknown:
        call(directory, "simulatde")
    assert "simulated" in unknown.value.advice
    with pytest.raises(JournalError, match="no SQLite database"):
        call(directory, "damaged", "--format", "md")
    with pytest.raises(InputError, match="has no journal"):
        call(directory, "never-began", "--format", "md")
    with pytest.raises(SettingError, match="directory that exists"):
        call(directory, "simulated", "--output", str(tmp_path / "none" / "x.md"))
    with pytest.raises(SettingError, match=r"\.md, \.json or \.xml, or --format \(html, md, json, junit\)") as ending:
        call(directory, "simulated", "--output", str(tmp_path / "x.doc"))
    assert ending.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []
    assert call(directory, "simulated", "--format", "md", "--output", str(tmp_path / "x.doc"))
    with pytest.raises(SettingError, match="html, md, json, junit"):
        call(directory, "simulated", "--format", "pdf")


def test_a_page_that_was_not_built_is_told(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "BUILT", ("none.js", "none.css", "none.txt"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InfrastructureError, match="has not been built") as error:
        call(directory, "simulated")
    assert "make dashboard" in error.value.advice
    assert not list(tmp_path.iterdir())
