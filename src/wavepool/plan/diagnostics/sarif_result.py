"""A SARIF result, as sarif-pydantic validates it, as far as it tells of a fault without its run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sarif_pydantic import Location, PhysicalLocation, Region, Result
from sarif_pydantic.sarif import Suppression

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.diagnostics.places import from_one
from wavepool.plan.diagnostics.sarif_run import SarifRun

_NOT_SUPPRESSING = ("underReview", "rejected")


class SarifResult(Result):
    """With the two fields of the standard that the library leaves among the unknown ones."""

    suppressions: list[Suppression] | None = None
    baseline_state: str | None = None

    @property
    def is_fault(self) -> bool:
        """Whether a checker that has this result fails for it, or warns of it."""
        if self.kind not in (None, "fail") or self.baseline_state == "absent":
            return False
        suppressions = self.suppressions or ()
        return not suppressions or any(one.status in _NOT_SUPPRESSING for one in suppressions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A diagnostic that lacks what only its run knows.

    Attributes:
        diagnostic: its message is empty where only its rule has it.
        level: None where its rule has it.
        rule_index: the place of its rule in the run's list.
        message_id, arguments: of the rule's message.
    """

    diagnostic: Diagnostic
    level: str | None = None
    rule_index: int | None = None
    message_id: str | None = None
    arguments: Sequence[str] = ()


def draft_of(result: SarifResult, run: SarifRun, tool: str) -> Draft:
    """The draft of a fault."""
    place = _place(result.locations)
    region = (place.region if place is not None else None) or Region()
    reference = result.rule
    index = result.rule_index if result.rule_index is not None else reference.index if reference else None
    return Draft(
        diagnostic=Diagnostic(
            tool=tool,
            path=run.path(place.artifact_location) if place is not None else None,
            line=from_one(region.start_line),
            column=from_one(region.start_column),
            code=result.rule_id or (reference.id if reference else None),
            message=result.message.text or result.message.markdown or "",
        ),
        level=result.level.value if result.level is not None else None,
        rule_index=index,
        message_id=result.message.id,
        arguments=tuple(result.message.arguments or ()),
    )


def _place(locations: Sequence[Location] | None) -> PhysicalLocation | None:
    """The first place in a file."""
    return next((one.physical_location for one in locations or () if one.physical_location is not None), None)
