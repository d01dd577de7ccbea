"""Each iteration of a plan kept side by side: results of its waves, and the logs by container."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wavepool.errors import InfrastructureError
from wavepool.statedir import RunDir


def keep_iteration(directory: Path, result: Mapping[str, Any], files: RunDir) -> Path:
    """Copy a run's results and logs into the next free ``directory/<n>``; that directory.

    ``wave-<N>-results.json`` for each wave and ``logs/<container id>.log`` for each task that has a log.

    Raises:
        InfrastructureError: it cannot be written.
    """
    try:
        target = _next_iteration(directory)
        (target / "logs").mkdir()
        for wave in result["waves"]:
            text = json.dumps(wave, indent=2, ensure_ascii=False)
            (target / f"wave-{wave['wave_number']}-results.json").write_text(text + "\n", encoding="utf-8")
            for entry in wave["containers"]:
                if entry["log"] is not None:
                    name = Path(entry["container_id"]).name or entry["container_name"]
                    _copy_private(files.path / entry["log"], target / "logs" / f"{name}.log")
    except OSError as error:
        raise InfrastructureError(
            f"{directory}: results could not be kept: {error.strerror or error}",
            advice=f"They are in {files.path} all the same.",
        ) from error
    return target


def _copy_private(source: Path, target: Path) -> None:
    """Logs are for their owner alone (mode 0600), wherever they are kept."""
    target.touch(mode=0o600)
    shutil.copyfile(source, target)


def _next_iteration(directory: Path) -> Path:
    """Made here, so that two runs at once do not take the same one."""
    directory.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(entry.name) for entry in directory.iterdir() if entry.name.isdigit()), default=0)
    while True:
        try:
            (directory / str(number)).mkdir()
        except FileExistsError:
            number += 1
        else:
            return directory / str(number)
