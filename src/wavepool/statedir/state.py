"""The state directory as a whole: its owner, its runs, its networks and stacks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavepool.errors import InfrastructureError, InvariantBroken
from wavepool.statedir.files import delete_tree, make_private, opened, sync_directory, take_lock, told, write_once
from wavepool.statedir.fixing import FixPlace
from wavepool.statedir.rundir import LOOK_PATIENCE_S, RunDir
from wavepool.statedir.served import ServedRuns
from wavepool.statedir.serving import ServerPlace

REMOVAL_PATIENCE_S = 30.0
"""How long a new run waits for the removal of a network that it is about to use."""


SPAWN_RECORD = "spawned.json"
"""In the artifacts of a spawn, which keeps no journal: its manifest, which names the network that it used."""


_OWNER = re.compile(r"[0-9a-f]{16}")


class StateDir:
    """One state directory. Making the object touches nothing; directories come into being when they are needed."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._runs = self.path / "runs"
        self._networks = self.path / "networks"
        self._removed = self.path / "removed"
        self._stacks = self.path / "stacks"
        self._fixes = self.path / "fixes"

    def owner(self) -> str:
        """The directory's id, 16 hex digits; made by the first who asks, the same for all ever after.

        Raises:
            InfrastructureError: it cannot be made or read, or the file holds something else.
        """
        path = self.path / "owner"
        with told(path, "read"):
            if not path.exists():
                make_private(self.path)
                write_once(path, secrets.token_hex(8))
            text = path.read_text("ascii", errors="replace").strip()
        if not _OWNER.fullmatch(text):
            raise InfrastructureError(
                f"{path}: expected 16 hex digits, the owner of this state directory's containers",
                advice="Restore the file, or choose another --state-dir. A new id would not find the old containers.",
            )
        return text

    def stack_data(self, name: str) -> Path:
        """Where the services of a stack keep their data; made by who needs it. `name` was validated by who read it."""
        return self._stack(name) / "data"

    def drop_stack(self, name: str) -> list[str]:
        """Remove the data of a stack; one sentence for each thing that is still there."""
        problems: list[str] = []

        def note(_: object, path: str, error: BaseException) -> None:
            problems.append(f"{path} is still there: {getattr(error, 'strerror', None) or error}")

        data = self.stack_data(name)
        if data.exists():
            shutil.rmtree(data, onerror=lambda function, path, info: note(function, path, info[1]))
        return problems

    @contextmanager
    def changing_stack(self, name: str) -> Iterator[None]:
        """Change the stack called `name` inside this block: one process at a time.

        Raises:
            InfrastructureError: another process is at it, or the state directory cannot be written to.
        """
        directory = self._stack(name)
        with told(directory, "make"):
            make_private(directory)
        with opened(directory / "lock") as descriptor:
            if not take_lock(descriptor, fcntl.LOCK_EX, patience_s=LOOK_PATIENCE_S):
                raise InfrastructureError(
                    f"another process changes the stack {name} just now", advice="Wait for it to end, then try again."
                )
            yield

    def _stack(self, name: str) -> Path:
        if not name or name in {".", ".."} or "/" in name or "\0" in name:
            raise InvariantBroken(f"{name!r} cannot name a directory")
        return self._stacks / name

    def server(self) -> ServerPlace:
        """Where `wavepool serve` is found, whether it serves or not."""
        return ServerPlace(self.path)

    def served_runs(self) -> ServedRuns:
        """The records of the runs that `wavepool serve` has started."""
        return ServedRuns(self.path / "served")

    def fix(self, fix_id: str) -> FixPlace:
        """The place of a fix, whether it is there or not; its id is made as a run's."""
        return FixPlace(self._fixes / fix_id)

    def fixes(self) -> list[FixPlace]:
        """The places of all fixes that go on, or whose process died over them: directories, whatever else lies there.

        Raises:
            InfrastructureError: the state directory cannot be read.
        """
        with told(self._fixes, "read"):
            try:
                found = sorted(each.name for each in os.scandir(self._fixes) if each.is_dir(follow_symlinks=False))
            except FileNotFoundError:
                return []
        return [FixPlace(self._fixes / name) for name in found]

    def processes(self) -> Path:
        """Where attempts that are plain processes keep their records; made where it is missing.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        path = self.path / "processes"
        with told(path, "make"):
            make_private(path)
        return path

    def run(self, run_id: str) -> RunDir:
        """The directory of a run, whether it exists or not. `run_id` was validated by whoever read it."""
        if not run_id or run_id in {".", ".."} or "/" in run_id or "\0" in run_id:
            raise InvariantBroken(f"{run_id!r} cannot name a directory")
        return RunDir(self._runs / run_id)

    def runs(self) -> list[str]:
        """The ids of all runs that have a directory here, sorted.

        Raises:
            InfrastructureError: the state directory cannot be read.
        """
        with told(self._runs, "read"):
            try:
                with os.scandir(self._runs) as entries:
                    return sorted(entry.name for entry in entries if entry.is_dir())
            except FileNotFoundError:
                return []

    def remove_run(self, run_id: str) -> int:
        """Remove a run's directory, whose lock the caller holds; returns the bytes that were freed.

        It leaves the runs in one step. What a crash leaves of it is in `half_removed`.

        Raises:
            InfrastructureError: something of it resists; it is no run any more all the same, if it could be renamed.
        """
        source, target = self._runs / run_id, self._removed / f"{run_id}.{secrets.token_hex(4)}"
        with told(source, "remove"):
            make_private(self._removed)
            source.rename(target)
            sync_directory(self._runs)
        return delete_tree(target)

    def half_removed(self) -> list[Path]:
        """What removals that were cut off have left. Empty where the state directory cannot be read."""
        try:
            return sorted(self._removed.iterdir())
        except OSError:
            return []

    def finish_removal(self, path: Path) -> int:
        """Delete one of `half_removed`, unless somebody is just doing that; returns the bytes that were freed.

        Raises:
            InfrastructureError: something of it resists.
        """
        lock = path / "lock"
        if not lock.exists():
            return delete_tree(path)
        with opened(lock, os.O_RDONLY) as descriptor:
            return delete_tree(path) if take_lock(descriptor, fcntl.LOCK_EX, patience_s=0.0) else 0

    @contextmanager
    def network_lease(self, name: str, *, patience_s: float = REMOVAL_PATIENCE_S) -> Iterator[None]:
        """Hold the network called `name` for a run: nobody removes it. Any number of runs may hold it.

        Take it before the network is looked for or created. Blocks up to `patience_s` while somebody removes it.

        Raises:
            InfrastructureError: it is still being removed, or the state directory cannot be written to.
        """
        with self._network_file(name) as descriptor:
            if not take_lock(descriptor, fcntl.LOCK_SH, patience_s=patience_s):
                raise InfrastructureError(
                    f"network {name}: another process has been removing it for {patience_s:.0f} s",
                    advice="Wait for it to end (`wavepool cleanup` or a run that ends), or choose another --network.",
                )
            yield

    @contextmanager
    def making(self, name: str, *, patience_s: float = REMOVAL_PATIENCE_S) -> Iterator[None]:
        """Look for the network called `name`, or make it, inside this block: one process at a time.

        An engine takes two of one name that are made at once, and then refuses every start as ambiguous.

        Raises:
            InfrastructureError: another process is still at it after `patience_s`, or the state directory cannot be
                written to.
        """
        with self._network_file(f"making {name}") as descriptor:
            if not take_lock(descriptor, fcntl.LOCK_EX, patience_s=patience_s):
                raise InfrastructureError(
                    f"network {name}: another process has been making it for {patience_s:.0f} s",
                    advice="See whether the Docker daemon answers (`docker network ls`), then try again.",
                )
            yield

    @contextmanager
    def try_exclusive(self, name: str, *, patience_s: float = 0.0) -> Iterator[bool]:
        """True if no run holds the network: then none can take it until the block ends, and it may be removed.

        A run that ends gives up its own lease first.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        with self._network_file(name) as descriptor:
            yield take_lock(descriptor, fcntl.LOCK_EX, patience_s=patience_s)

    @contextmanager
    def _network_file(self, name: str) -> Iterator[int]:
        path = self._networks / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        with told(self._networks, "make"):
            make_private(self._networks)
        with opened(path) as descriptor:
            yield descriptor
