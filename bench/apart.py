"""A measurement in a process of its own, so that nothing that was measured before is in its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def measured_apart(module: str, *arguments: str) -> Any:
    """What ``python -m <module> <arguments>`` prints: one JSON value. Blocks.

    Raises:
        CalledProcessError: it failed; its stderr was shown.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    return json.loads(done.stdout)
