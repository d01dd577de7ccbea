"""Where the path that a tool wrote leads, by its letters alone: whoever has the disk asks it about links afterwards."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from urllib.parse import unquote

from wavepool.plan.making.findings import Place, Placed

VENDORED = frozenset(
    {
        "node_modules",
        "bower_components",
        "jspm_packages",
        "site-packages",
        "dist-packages",
        "vendor",
        "third_party",
        ".venv",
        ".tox",
        ".nox",
        ".eggs",
        "__pycache__",
        "__pypackages__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".git",
        ".hg",
        ".svn",
        ".cargo",
        ".rustup",
        ".yarn",
        ".pnpm-store",
        ".next",
        ".nuxt",
        ".svelte-kit",
        "CMakeFiles",
    }
)
"""Directories whose files others wrote, or a build makes, wherever they lie."""

_CARGO_TARGET = re.compile(r"(?:^|/)target/(?:[^/]+/)?(?:debug|release|package|doc|build)/")
"""What cargo builds: a directory ``target`` alone may as well be source."""

_DRIVE = re.compile(r"/?([A-Za-z]):[\\/]")
_NO_FILE = re.compile(r"<[^/\\]*>")
"""As compilers call what they read from nowhere: ``<stdin>``, ``<command line>``, ``<built-in>``."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def place(path: str, roots: Sequence[str], *, directory: str = "") -> Placed:
    """Where a path leads.

    Args:
        path: as the tool wrote it; with ``/`` or with backslashes, relative, absolute, or a ``file:`` address.
        roots: absolute directories that all are the workspace: as it was named, as it really is, and as containers
            see it. Of several that a path is below, the longest counts.
        directory: where the tool's relative paths begin: relative to the workspace; empty for the workspace itself.
    """
    if not path.strip() or path.strip() == "-" or _NO_FILE.fullmatch(path.strip()) or _CONTROL.search(path):
        return Placed(place=Place.NOWHERE, path=path)
    plain = _plain(path)
    if _CONTROL.search(plain):  # of a `file:` address
        return Placed(place=Place.NOWHERE, path=path)
    inside = _below(plain, roots) if _is_absolute(plain) else posixpath.normpath(posixpath.join(directory, plain))
    if inside is None or inside == ".." or inside.startswith("../"):
        return Placed(place=Place.OUTSIDE, path=path)
    if inside == ".":
        return Placed(place=Place.NOWHERE, path=path)
    return Placed(place=Place.VENDORED if is_vendored(inside) else Place.INSIDE, path=inside)


def is_vendored(path: str) -> bool:
    """Whether a path, relative to the workspace and normal, leads to what others wrote or a build makes."""
    return not VENDORED.isdisjoint(path.split("/")[:-1]) or _CARGO_TARGET.search(path) is not None


def _plain(path: str) -> str:
    """The path with ``/``, a drive's letter in upper case, and without ``file:``."""
    if path.startswith("file:"):
        path = unquote(path.removeprefix("file://localhost").removeprefix("file://").removeprefix("file:"))
    if (drive := _DRIVE.match(path)) is not None:
        return f"{drive[1].upper()}:/" + path[drive.end() :].replace("\\", "/")
    # Beside a slash, a backslash is a letter of the name.
    return path if "/" in path else path.replace("\\", "/")


def _is_absolute(plain: str) -> bool:
    return plain.startswith("/") or _DRIVE.match(plain) is not None


def _below(plain: str, roots: Sequence[str]) -> str | None:
    """The path relative to the longest root that it is below; None where there is none."""
    whole = posixpath.normpath(plain)
    normal = {posixpath.normpath(_plain(root)).rstrip("/") + "/" for root in roots}
    for root in sorted(normal, key=len, reverse=True):
        if f"{whole}/".startswith(root):
            return whole[len(root) :] or "."
    return None
