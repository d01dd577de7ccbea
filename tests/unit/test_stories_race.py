"""Facts that come while somebody looks through the tasks of a run do not change them under his hands."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
from test_history import added, opened, write

from wavepool.core.facts import Stamped
from wavepool.engine.history.chronicle import Chronicle
from wavepool.monitoring.runs.stories import Stories
from wavepool.statedir import StateDir


class Looked(Chronicle):
    """Whoever takes in a fact beside the loop does it in the middle of a look of the loop."""

    def take(self, stamped: Stamped) -> None:
        if threading.current_thread() is threading.main_thread():
            super().take(stamped)
            return
        look = anyio.from_thread.run_sync(lambda: iter(self.tasks.values()))
        super().take(stamped)
        anyio.from_thread.run_sync(list, look)


def test_tasks_of_a_later_piece_do_not_break_a_look(tmp_path: Path) -> None:
    state_dir = StateDir(tmp_path / "state")
    write(state_dir, "r1", opened("r1"), added("a"), added("b"))

    async def look() -> None:
        stories = Stories(state_dir)
        story = await stories.run("r1")
        story.chronicle, story._taken, story._looked_s = Looked(), 0, None
        await story.refresh()
        assert [story.task(key).task.id for key in "ab"] == ["a", "b"]

    anyio.run(look)
