"""The fixes of a state directory, as their journals tell them: of live ones, of dead ones, and of those that are over.

Nothing is written; all of it blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from wavepool.core.fixes.course import Course
from wavepool.core.fixes.facts import FixFact, FixOpened
from wavepool.errors import InfrastructureError
from wavepool.journal.reading import JournalReader
from wavepool.statedir import FixPlace, StateDir

LIVE = "live"
UNFINISHED = "unfinished"
"""Its process died."""
DAMAGED = "damaged"

_KINDS = get_args(FixFact)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixStory:
    """One fix.

    Attributes:
        state: ``live``, ``unfinished``, ``damaged``, or how it ended, as `Ending` has it.
        started_at, last_at: UTC, of its first and of its last fact; None where they are not known.
        problem: why its journal cannot be read, or what ended it; empty for nothing.
    """

    place: FixPlace
    state: str
    course: Course
    started_at: datetime | None = None
    last_at: datetime | None = None
    problem: str = ""

    @property
    def id(self) -> str:
        """Of the fix."""
        return self.place.id

    @property
    def opened(self) -> FixOpened | None:
        """What it was asked for; None where nobody knows."""
        return self.course.opened

    @property
    def goes_on(self) -> bool:
        """Whether `wavepool resume` has something to do."""
        ending = self.course.ending
        return self.state not in (LIVE, DAMAGED) and (ending is None or not ending.is_final)

    @property
    def resume(self) -> str | None:
        """The command that goes on with it; None where there is nothing to go on with."""
        return f"wavepool resume {self.id}" if self.goes_on else None

    @property
    def runs(self) -> Sequence[str]:
        """Ids of all its runs, those of checks too."""
        return (*self.course.check_runs, *self.course.runs)


def stories(state_dir: StateDir) -> Iterator[FixStory]:
    """All that have begun, the oldest first. Raises InfrastructureError: the state directory cannot be read."""
    for place in state_dir.fixes():
        story = story_of(place)
        if story is not None:
            yield story


def story_of(place: FixPlace) -> FixStory | None:
    """One of them; None for what is not there, or has not begun. Raises nothing."""
    course, first, last = Course(), None, None
    try:
        live = place.is_live()
        if not place.journal.exists():
            return None
        for stamped in JournalReader(place.journal, run_id=place.id).read():
            if isinstance(stamped.fact, _KINDS):
                course.apply(stamped.fact)
            first, last = first or stamped.utc, stamped.utc
    except InfrastructureError as error:
        return FixStory(place=place, state=DAMAGED, course=course, problem=error.message)
    if course.opened is None:
        return None
    ended = UNFINISHED if course.ending is None else course.ending.value
    return FixStory(
        place=place,
        state=LIVE if live else ended,
        course=course,
        started_at=first,
        last_at=last,
        problem=course.problem,
    )


def find_fix(state_dir: StateDir, text: str) -> FixStory | None:
    """The fix of this id, or the only one whose id starts so; None where it fits none, or fits a run as well."""
    places = {place.id: place for place in state_dir.fixes() if place.journal.exists()}
    if text in places:
        return story_of(places[text])
    fitting = [each for each in places if text and each.startswith(text)]
    if len(fitting) != 1 or any(run_id.startswith(text) for run_id in state_dir.runs()):
        return None
    return story_of(places[fitting[0]])


def story_named(state_dir: StateDir, text: str) -> FixStory | None:
    """As `find_fix`; a run that has that very id is meant before any fix."""
    return None if text in state_dir.runs() else find_fix(state_dir, text)


def fix_of_run(state_dir: StateDir, run_id: str) -> FixStory | None:
    """The fix that a run is of, a check's run too; None for all others."""
    told = (each for each in stories(state_dir) if run_id in each.runs)
    return next(told, None)
