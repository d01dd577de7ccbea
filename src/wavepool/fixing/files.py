"""The files of a workspace: where a path leads that a tool wrote, and what stands in a file."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from wavepool.plan.diagnostics.messages import HALF_CHARACTER
from wavepool.plan.grouping import Sources
from wavepool.plan.making.findings import Place, Placed
from wavepool.plan.making.placing import is_vendored, place
from wavepool.units import MIB

INSIDE_CONTAINERS = "/workspace"
"""Where a check in an image sees the workspace."""
TEXT_MAX_BYTES = MIB
"""Of a file that is read for what it imports."""
FILES_MAX = 200_000
"""That are listed of a workspace."""

_MODULE = re.compile(r'^module\s+"?([^\s"]+)', re.MULTILINE)


class WorkspaceFiles:
    """Places paths, lists files and reads them. Nothing outside the workspace is ever opened.

    Args:
        workspace: absolute, without links.
        named: the same as the user named it, which tools may take over.
        contained: its paths are those of a container.
    """

    def __init__(self, workspace: Path, named: Path | None = None, *, contained: bool = False) -> None:
        self._root = os.path.realpath(workspace)
        names = {self._root, os.path.abspath(named or workspace), _current_name(self._root)}
        if contained or not os.path.isdir(INSIDE_CONTAINERS):
            names.add(INSIDE_CONTAINERS)
        self._roots = tuple(names)
        self._names: dict[str, dict[str, str]] = {}
        self._files: frozenset[str] | None = None
        self._by_name: dict[str, list[str]] = {}

    def place(self, path: str) -> Placed:
        """Where a path leads that a tool wrote: relative to the workspace, absolute, or as a container sees it.

        What is not there is looked for in another case, and below the directories of the workspace: tools that were
        started in one of these name paths from there. `NOWHERE`: no such file, or several of which it could be one.
        """
        if HALF_CHARACTER.search(path):  # no system can be asked for it, and no plan could name it
            return Placed(place=Place.NOWHERE, path=HALF_CHARACTER.sub("\ufffd", path))
        placed = place(path, self._roots)
        if placed.place is Place.OUTSIDE and path.startswith("/"):  # by yet another link to the same place?
            placed = place(os.path.realpath(path), self._roots)
        if placed.place is Place.NOWHERE:
            return placed
        if placed.place is Place.OUTSIDE:
            return Placed(place=Place.OUTSIDE, path=path)
        found = self._found(path if self._is_there(path) else placed.path)
        real = self._real(placed.path if found is None else found)
        if real is None:
            return Placed(place=Place.OUTSIDE, path=path)
        if placed.place is Place.VENDORED or is_vendored(real):
            return Placed(place=Place.VENDORED, path=real)
        if found is None or not os.path.isfile(self._full(real)):
            return Placed(place=Place.NOWHERE, path=path)
        return Placed(place=Place.INSIDE, path=real)

    def sources(self) -> Sources:
        """All files that may be mended, and their texts."""
        return Sources(files=self._listed(), read=self.read)

    def read(self, path: str) -> str | None:
        """The text of a file by its path relative to the workspace; None where it is none, too large, or elsewhere."""
        try:
            descriptor = os.open(self._full(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            seen = os.fstat(descriptor)
            if not stat.S_ISREG(seen.st_mode) or seen.st_size > TEXT_MAX_BYTES or self._real(path) is None:
                return None
            return os.read(descriptor, TEXT_MAX_BYTES).decode("utf-8-sig", "replace")
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _full(self, inner: str) -> str:
        return os.path.join(self._root, inner)

    def _is_there(self, path: str) -> bool:
        """Whether it is a path below the workspace just as it was written: a backslash may be a letter of a name."""
        plain = not path.startswith("/") and posixpath.normpath(path) == path and not path.startswith("../")
        return plain and os.path.lexists(self._full(path))

    def _found(self, inner: str) -> str | None:
        """The file that is meant; None where there is none, or more than one."""
        if os.path.lexists(self._full(inner)):
            return inner
        if is_vendored(inner):
            return None
        spelled = self._as_spelled(inner)
        if spelled is not None:
            return spelled
        self._listed()
        if inner.endswith(".go") and (of_module := self._in_modules(inner)) is not None:
            return of_module
        ending = f"/{inner}"
        below = [each for each in self._by_name.get(posixpath.basename(inner), ()) if each.endswith(ending)]
        return below[0] if len(below) == 1 else None

    def _in_modules(self, inner: str) -> str | None:
        """The file that Go calls by its module's name and its path in there; None where there is none."""
        for at in self._by_name.get("go.mod", ()):
            module = _MODULE.search(self.read(at) or "")
            if module is not None and inner.startswith(f"{module[1]}/"):
                found = posixpath.join(posixpath.dirname(at), inner[len(module[1]) + 1 :])
                if os.path.lexists(self._full(found)):
                    return found
        return None

    def _real(self, inner: str) -> str | None:
        """The same file without links; None where one leads out of the workspace."""
        real = os.path.realpath(self._full(inner))
        return real[len(self._root) + 1 :] if real.startswith(f"{self._root}/") else None

    def _as_spelled(self, inner: str) -> str | None:
        """The path in the upper and lower case of the file that is there; None where there is none, or several."""
        found = ""
        for part in inner.split("/"):
            name = self._spellings(found).get(part.casefold())
            if name is None:
                return None
            found = f"{found}/{name}" if found else name
        return found

    def _spellings(self, directory: str) -> dict[str, str]:
        if directory not in self._names:
            names: dict[str, list[str]] = {}
            try:
                for name in os.listdir(self._full(directory)):
                    names.setdefault(name.casefold(), []).append(name)
            except OSError:
                names = {}
            self._names[directory] = {folded: each[0] for folded, each in names.items() if len(each) == 1}
        return self._names[directory]

    def _listed(self) -> frozenset[str]:
        if self._files is None:
            self._files = frozenset(self._walk())
            for each in self._files:
                self._by_name.setdefault(posixpath.basename(each), []).append(each)
        return self._files

    def _walk(self) -> Iterator[str]:
        count = 0
        for directory, below, names in os.walk(self._root):
            inner = os.path.relpath(directory, self._root)
            prefix = "" if inner == "." else f"{inner}/"
            below[:] = sorted(name for name in below if not is_vendored(f"{prefix}{name}/_"))
            for name in sorted(names):
                count += 1
                if count > FILES_MAX:
                    return
                yield f"{prefix}{name}"


def _current_name(root: str) -> str:
    """The workspace as the user's shell names it, which tools may take over: with links in it."""
    named = os.environ.get("PWD", "")
    try:
        return named.rstrip("/") if named.startswith("/") and os.path.samefile(named, root) else root
    except OSError:
        return root
