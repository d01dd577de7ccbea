"""Builds dashboard/ into the package: as a hook of the build backend, or by itself (`python hatch_build.py`).

Needs node and npm, unless the built files are there and newer sources are not: then, as from a source distribution,
it does nothing. What is built is never committed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by itself, outside the build backend
    BuildHookInterface = object  # type: ignore[assignment,misc]  # a class either way

BUILT = ("src/wavepool/web/static", "src/wavepool/reporting/static")
"""What comes out, and is part of the wheel."""

STAMP = "src/wavepool/web/static/.sources"
"""Digest of the sources that it was built from."""


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]  # that of its configuration, which has none
    """The page is there before files are gathered for a wheel, an editable install or a source distribution."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises RuntimeError: it cannot be built."""
        build(Path(self.root))


def build(root: Path) -> None:
    """Build it, unless it was built from these very sources. Raises RuntimeError."""
    sources = root / "dashboard"
    digest = _digest(sources)
    stamp = root / STAMP
    if all((root / each).is_dir() for each in BUILT) and stamp.is_file() and stamp.read_text() == digest:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "the dashboard is built by npm, which is not here: scripts/environment brings it (Debian: nodejs npm), "
            "or install a wheel, which has it built"
        )
    for command in ((npm, "ci"), (npm, "run", "build")):
        done = subprocess.run(command, cwd=sources, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[1:])} failed in {sources}:\n{done.stdout}{done.stderr}")
    stamp.write_text(digest)


def _digest(sources: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(each for each in sources.rglob("*") if each.is_file()):
        name = file.relative_to(sources).as_posix()
        if not name.startswith("node_modules/"):
            found.update(f"{name}\0{file.stat().st_size}\0".encode())
            found.update(file.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    try:
        build(Path(__file__).resolve().parent)
    except RuntimeError as error:
        sys.exit(f"dashboard: {error}")
