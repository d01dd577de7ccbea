"""The base that a build stops at, as the engine would have pulled it."""

from __future__ import annotations

import pytest

from wavepool.drivers.docker.building import base_of
from wavepool.images import AGENT, EGRESS, recipe


@pytest.mark.parametrize(
    ("name", "step", "arguments", "base"),
    [
        (EGRESS, "Step 2/9 : FROM ${BASE}", {}, "debian:bookworm-slim"),
        (EGRESS, "Step 2/9 : FROM ${BASE}", {"BASE": "mine:1"}, "mine:1"),
        (AGENT, "Step 3/20 : FROM ${NPM_BASE} AS package", {}, "debian:bookworm-slim"),
        (AGENT, "Step 3/20 : FROM ${NPM_BASE} AS package", {"BASE": "mine:1"}, "mine:1"),
        (AGENT, "Step 3/20 : FROM ${NPM_BASE} AS package", {"NPM_BASE": "node:22"}, "node:22"),
        (AGENT, "Step 5/20 : RUN apt-get update", {}, None),
    ],
)
def test_a_step_on_a_base_names_it(name: str, step: str, arguments: dict[str, str], base: str | None) -> None:
    assert base_of(["Step 1/9 : ARG BASE", step], recipe(name), arguments) == base


def test_a_build_that_said_nothing_stopped_at_no_base() -> None:
    assert base_of([], recipe(EGRESS), {}) is None
