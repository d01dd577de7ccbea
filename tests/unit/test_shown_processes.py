"""What is shown of processes: nothing that is private, and nothing that could hide all the rest."""

from __future__ import annotations

import json

import pytest

from wavepool.engine.clock import SystemClock
from wavepool.monitoring.overview import OverviewChannel
from wavepool.monitoring.sources.processes import shown_command


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("wavepool run -e LICENCE=hush plan.json", "wavepool run -e LICENCE=*** plan.json"),
        ("wavepool run --environment PORT=hush --keep-going", "wavepool run --environment PORT=*** --keep-going"),
        ("wavepool run --environment=PORT=hush=hush -", "wavepool run --environment=PORT=*** -"),
        ("wavepool pool run coder --env=A=hush", "wavepool pool run coder --env=A=***"),
        ("wavepool pool run coder --env INHERITED -- ls", "wavepool pool run coder --env INHERITED -- ls"),
        (
            "wavepool run DB_PASS=hush --db-pass hush MYSQL_PWD=hush",
            "wavepool run DB_PASS=*** --db-pass *** MYSQL_PWD=***",
        ),
        ("claude --passes 3 --compass north", "claude --passes 3 --compass north"),
    ],
)
def test_variables_of_tasks_are_in_no_command_line_that_is_shown(command: str, shown: str) -> None:
    assert shown_command(command.split()) == shown


def test_a_process_with_an_odd_name_hides_nothing() -> None:
    """A process in a container may call itself anything: its name comes with a surrogate for each odd byte."""
    channel = OverviewChannel(SystemClock(), lambda: {"at": []})  # type: ignore[typeddict-item]
    channel.put("processes", {"7": {"pid": 7, "name": "a\udcff", "cmdline": ""}})
    channel.put_problem("host", "no /tmp/\udce9")
    channel.take_patch()
    document = json.loads(json.dumps(channel.document(), ensure_ascii=False).encode())
    assert document["processes"]["7"]["name"] == "a\ufffd"
    assert document["problems"] == {"host": "no /tmp/\ufffd"}
