"""Writes `tests/transcripts/checks/real` anew: what the real tools write of `tests/real_checks`, a file for each form.

.venv/bin/python tests/integration/record_checks.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from checkers import have_checkers
from real_checks import RUNS, RealChecks

RECORDED = Path(__file__).parents[1] / "transcripts" / "checks" / "real"
HOME = "/home/ada"
"""Where everything seems to have been."""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        checks = RealChecks(have_checkers(), Path(directory))
        RECORDED.mkdir(parents=True, exist_ok=True)
        for name, (project, argv) in RUNS.items():
            printed = checks.run(project, *argv)
            written = printed.stdout + printed.stderr
            for place, seems in {directory: "checks", sys.prefix: ".venv", sys.base_prefix: ".python"}.items():
                written = written.replace(place.encode(), f"{HOME}/{seems}".encode())
            (RECORDED / f"{name}.txt").write_bytes(written)


if __name__ == "__main__":
    main()
