"""JUnit's XML, as CI systems read it: a test suite for each wave, a test case for each task.

The elements and attributes are those of the schemas of Ant (Windy Road's) and of the xUnit plugin of Jenkins, as far
as these two agree; both put what a case wrote into its `failure` or `error`. A task that ran and did wrong is a
failure; one that could not do its work (no start, lost, cancelled, rate-limited) is an error; one that has no end, or
was skipped, is skipped.
"""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from wavepool.model import VerdictKind
from wavepool.monitoring.documents.runs import TaskEntry, WaveEntry
from wavepool.reporting.tails import Tail
from wavepool.reporting.telling import FAILURES, Told, when
from wavepool.units import human_size

LOGS = 200
"""Tasks whose last lines are told; of more only the evidence."""

ERRORS = frozenset({VerdictKind.START_ERROR, VerdictKind.LOST, VerdictKind.CANCELLED, VerdictKind.RATE_LIMITED})

COUNTED = {"failure": "failures", "error": "errors", "skipped": "skipped"}
"""What a test suite calls the number of these elements."""

MESSAGE = 300
"""Characters of a message; the whole of it is in the text below it."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no document of XML 1.0 may hold, not even as a reference (its rule 2, Char)."""


def junit_of(told: Told) -> str:
    """The whole document, which ends with a newline."""
    suites = Element("testsuites")
    logs_left = LOGS
    for number, (wave, task_ids) in enumerate(told.by_wave()):
        suite = _suite(suites, told, wave, number)
        for task_id in task_ids:
            entry = told.entry(task_id)
            failed = entry["state"] in FAILURES
            tail = told.tail(task_id) if failed and logs_left > 0 else None
            logs_left -= tail is not None
            case = case_of(entry, told.took_s(task_id), tail, told.as_of)
            suite.append(case)
            for outcome in case:
                suite.set(COUNTED[outcome.tag], str(int(suite.get(COUNTED[outcome.tag], "0")) + 1))
        SubElement(suite, "system-out").text = _note(told)
        SubElement(suite, "system-err")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def case_of(entry: TaskEntry, took_s: float, tail: Tail | None, as_of: datetime) -> Element:
    """One task, with what it failed of, or why it has not come to an end."""
    case = Element("testcase", classname=f"wavepool.wave{entry['wave']}", time=_seconds(took_s))
    case.set("name", xml_text(entry["id"]) or entry["key"])
    state = entry["state"]
    if state == VerdictKind.SUCCESS:
        return case
    if state not in FAILURES:
        SubElement(case, "skipped", message=_message(entry.get("why") or f"{state} as of {when(as_of)}"))
        return case
    element = SubElement(case, "error" if state in ERRORS else "failure", type=state)
    element.set("message", _message(entry.get("why") or state))
    element.text = xml_text("\n".join(_details(entry, tail)))
    return case


def xml_text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_XML.sub("", text)


def _suite(suites: Element, told: Told, wave: WaveEntry, number: int) -> Element:
    states = wave["tasks"]
    began = wave.get("opened_at") or told.line.get("started_at") or when(told.as_of)
    suite = SubElement(suites, "testsuite", id=str(number), name=f"wave {wave['number']}", package="wavepool")
    suite.set("timestamp", began[:19])  # the schema takes neither fractions nor a zone; it is UTC
    suite.set("hostname", "localhost")
    suite.set("tests", str(states["total"]))
    suite.set("time", _seconds(wave.get("took_s") or 0.0))
    properties = SubElement(suite, "properties")
    for name, value in (
        ("run", told.line["id"]),
        ("state", told.line["state"]),
        ("driver", told.line.get("driver", "")),
        ("as_of", when(told.as_of)),
    ):
        SubElement(properties, "property", name=name, value=xml_text(value))
    for name in COUNTED.values():
        suite.set(name, "0")
    return suite


def _details(entry: TaskEntry, tail: Tail | None) -> list[str]:
    lines: list[str] = []
    attempts = list(entry.get("attempts", {}).values())
    for attempt in attempts:
        lines.append(f"attempt {attempt['number']} of {len(attempts)}: {attempt['state']}")
        lines += (f"  {each}" for each in attempt.get("evidence", ()))
        if "memory_peak_bytes" in attempt:
            lines.append(f"  at most {human_size(attempt['memory_peak_bytes'])} of memory seen")
        if "retried_because" in attempt:
            lines.append(f"  tried again: {attempt['retried_because']}")
    if tail is not None:
        if tail.problem is not None:
            lines.append(tail.problem)
        if tail.text:
            lines += ["", f"The {'end' if tail.cut else 'whole'} of its output:", tail.text]
    return lines


def _message(text: str) -> str:
    return xml_text(text)[:MESSAGE]


def _note(told: Told) -> str:
    failed = told.line["tasks"]["failed"]
    if failed <= LOGS:
        return ""
    return f"Of {failed} tasks that failed the first {LOGS} logs are told here."


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
