"""Which runs a `wavepool serve` has started: the next one goes on with those of them that died."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wavepool.statedir.files import make_private, told


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRun:
    """One run that a server started.

    Attributes:
        run_id: the run.
        directory: the working directory of its process, absolute.
        started_at: in UTC, ISO 8601.
        resumed: how often a server went on with it after its death, since somebody asked for it.
        secrets: names of the secrets whose values came with the request, and are nowhere else.
    """

    run_id: str
    directory: str
    started_at: str
    resumed: int = 0
    secrets: tuple[str, ...] = ()


def served_now(run_id: str, directory: Path, secrets: tuple[str, ...] = ()) -> ServedRun:
    """The record of a run that is started at this moment."""
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return ServedRun(run_id=run_id, directory=str(directory), started_at=started_at, secrets=secrets)


class ServedRuns:
    """The records, a file for each. Making the object touches nothing; every method blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[ServedRun]:
        """All of them, in the order of their ids. One that cannot be read is none: its run is still a run.

        Raises:
            InfrastructureError: the directory cannot be read.
        """
        with told(self._path, "read"):
            try:
                names = sorted(os.listdir(self._path))
            except FileNotFoundError:
                return []
        found = (self._read(name.removesuffix(".json")) for name in names if name.endswith(".json"))
        return [each for each in found if each is not None]

    def keep(self, run: ServedRun) -> None:
        """Write it, whole or not at all. Raises InfrastructureError."""
        path = self._file(run.run_id)
        new = path.with_suffix(".new")
        document = {
            "directory": run.directory,
            "started_at": run.started_at,
            "resumed": run.resumed,
            "secrets": list(run.secrets),
        }
        with told(path, "write"):
            make_private(self._path)
            new.write_text(json.dumps(document), "utf-8")
            new.replace(path)

    def forget(self, run_id: str) -> None:
        """Remove it, if it is there. Raises nothing: one that stays is looked at again by the next server."""
        with contextlib.suppress(OSError):
            self._file(run_id).unlink()

    def _file(self, run_id: str) -> Path:
        return self._path / f"{run_id}.json"

    def _read(self, run_id: str) -> ServedRun | None:
        try:
            told_: Any = json.loads(self._file(run_id).read_text("utf-8"))
            return ServedRun(
                run_id=run_id,
                directory=str(told_["directory"]),
                started_at=str(told_["started_at"]),
                resumed=int(told_["resumed"]),
                secrets=tuple(map(str, told_["secrets"])),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
