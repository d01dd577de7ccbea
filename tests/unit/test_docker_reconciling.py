"""What a listing finds that events did not tell; on a daemon that answers from a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from wavepool import labels
from wavepool.drivers.base import Phase, Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.parking.claim_mark import lay_out
from wavepool.drivers.docker.parking.script import MARK_FILE
from wavepool.drivers.docker.watching.reconciling import Reconciler
from wavepool.drivers.docker.watching.sightings import Sighting, sight

LABELS = {labels.OWNER: "o", labels.RUN: "r", labels.WAVE: "1", labels.TASK: "t", labels.ATTEMPT: "1"}


class Listing:
    """The one call that is made: what the daemon lists."""

    def __init__(self, **states: str) -> None:
        self.summaries = [
            {"Id": each, "Names": [f"/{each}"], "Labels": LABELS, "State": states[each]} for each in states
        ]

    async def read(self, path: str, params: object = None) -> list[dict[str, Any]]:
        assert path == "containers/json"
        return self.summaries


async def changes(listing: Listing, **phases: Phase) -> dict[str, Phase]:
    """What each that must be told is taken for after one listing; `phases` is what events have shown, and was told."""
    known: dict[str, Sighting] = {}
    for container_id, phase in phases.items():
        found = sight(container_id, container_id, LABELS)
        assert found is not None
        found.phase = found.told = phase
        known[container_id] = found
    changed: list[str] = []
    reconciler = Reconciler(cast(DockerApi, listing), Scope(owner="o"), known, changed.append)
    await reconciler._once()
    return {each: Phase.GONE if known[each].unlisted else known[each].phase for each in changed}


@pytest.mark.anyio
async def test_what_lags_behind_is_brought_up_and_told() -> None:
    listing = Listing(ended="exited", began="running", unknown="exited", same="running", dead="dead")
    found = await changes(
        listing,
        ended=Phase.RUNNING,
        began=Phase.CREATED,
        same=Phase.RUNNING,
        dead=Phase.EXITED,
        vanished=Phase.RUNNING,
    )
    assert found == {
        "ended": Phase.EXITED,
        "began": Phase.RUNNING,
        "unknown": Phase.EXITED,
        "vanished": Phase.GONE,
    }


@pytest.mark.anyio
async def test_phases_never_go_back() -> None:
    """A listing may be older than the newest event."""
    assert await changes(Listing(one="running", two="created"), one=Phase.EXITED, two=Phase.RUNNING) == {}


@pytest.mark.anyio
async def test_a_claim_that_a_listing_is_the_first_to_see_is_told(tmp_path: Path) -> None:
    directory = lay_out(tmp_path, "1000:1000")
    found = sight("one", "one", {**LABELS, labels.PARKED: "late", labels.SLOT: str(tmp_path)})
    assert found is not None
    found.told = Phase.CREATED
    changed: list[str] = []
    listing = cast(DockerApi, Listing(one="running"))
    reconciler = Reconciler(listing, Scope(owner="o"), {"one": found}, changed.append)
    await reconciler._once()
    assert changed == [], "it waits"
    (directory / MARK_FILE).touch()
    await reconciler._once()
    assert changed == ["one"]
    assert not found.is_unclaimed()
    assert found.phase is Phase.RUNNING
