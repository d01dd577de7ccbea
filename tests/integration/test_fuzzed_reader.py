"""The long dose of fuzzing, guided by coverage: minutes on end, no crash, no input that takes long."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz-reader"
DOSE_S = int(os.environ.get("WAVEPOOL_FUZZ_S", "120"))
LONGEST_S = 30
"""What one input of 8 kB may take, on a machine that does other things too."""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not there; install it: .venv/bin/pip install -c constraints.txt -e '.[fuzz]'",
)
def test_no_input_breaks_the_reader(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    limits = [f"-max_total_time={DOSE_S}", f"-timeout={LONGEST_S}", "-print_final_stats=1"]
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "corpus", *limits],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=tmp_path,
        timeout=DOSE_S + 600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert executed is not None
    assert int(executed[1]) > 100
    record_property("proof", f"{int(executed[1]):,} inputs in {DOSE_S} s broke nothing in the reader of checks' output")
