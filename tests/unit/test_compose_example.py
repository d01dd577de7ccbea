"""The example for Compose, as far as it can be read without Compose."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
TOP = {"services"}
SERVICE = {
    *("image", "build", "command", "ports", "environment", "user", "group_add", "pid", "volumes", "restart"),
}
"""Of the Compose specification, what is used here: a misspelt name would be refused, or not heeded, by others only."""


def test_the_monitor_has_the_seeds_ports_and_variables_and_what_it_needs() -> None:
    document = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    assert set(document) == TOP
    assert set(document["services"]) == {"orchestrator-base", "orchestrator-monitor"}
    for service in document["services"].values():
        assert set(service) <= SERVICE
        assert (EXAMPLES / service["build"]["context"] / "Dockerfile").is_file()
    monitor = document["services"]["orchestrator-monitor"]
    assert {"WEBSOCKET_PORT=9001", "HTTP_PORT=8080", "LOG_LEVEL=INFO"} <= set(monitor["environment"])
    assert monitor["ports"] == ["127.0.0.1:8080:8080", "127.0.0.1:9001:9001"]
    assert monitor["command"] == ["serve", "--host", "0.0.0.0"]
    assert "${WAVEPOOL_STATE_DIR}:${WAVEPOOL_STATE_DIR}" in monitor["volumes"], "at the same path inside as outside"


def test_no_service_is_given_secrets_or_names_an_address_of_an_index() -> None:
    for path in (EXAMPLES / "compose.yaml", EXAMPLES / "monitor" / "Dockerfile"):
        text = path.read_text()
        assert not re.search(r"TOKEN=|PASSWORD|index-url|https?://(?!localhost)", text)
