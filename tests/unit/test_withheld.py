"""The history of a run is told when nothing refuses it any more, once, and before what follows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from wavepool.core.facts import Outcome, RunFinished, Stamped
from wavepool.engine.listener import Listener
from wavepool.engine.withheld import Withheld

AT = datetime(2026, 11, 20, tzinfo=UTC)


class Told(Listener):
    def __init__(self) -> None:
        self.boots: list[float] = []

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        self.boots += [each.boot_s for each in facts]


def fact(number: int) -> Stamped:
    return Stamped(float(number), AT, RunFinished(outcome=Outcome.SUCCESS, at=AT))


def test_nothing_is_told_before_it_is_released_and_all_of_it_then() -> None:
    told = Told()
    withheld = Withheld([told])
    withheld.on_facts([fact(1), fact(2)])
    withheld.on_facts([fact(3)])
    assert told.boots == []
    withheld.release()
    withheld.release()
    withheld.on_facts([fact(4)])
    assert told.boots == [1, 2, 3, 4]


def test_at_the_bound_it_goes_on_by_itself() -> None:
    told = Told()
    withheld = Withheld([told], bound=2)
    withheld.on_facts([fact(1), fact(2)])
    assert told.boots == []
    withheld.on_facts([fact(3)])
    withheld.on_facts([fact(4)])
    assert told.boots == [1, 2, 3, 4]
