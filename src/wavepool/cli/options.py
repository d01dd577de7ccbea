"""Options that several verbs share, each declared once.

None is "not given": then variables, wavepool.toml and defaults decide (`wavepool.config`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BaseImage = Annotated[str | None, typer.Option(help="Image of batches that name none.")]
Workspace = Annotated[str | None, typer.Option(help="Host directory, mounted at /workspace.")]
Network = Annotated[str | None, typer.Option(help="Name of the shared network; made if missing.")]
Environment = Annotated[
    list[str] | None, typer.Option(help="VAR=VALUE for every task; repeatable. Visible in docker inspect.")
]
EnvFile = Annotated[list[str] | None, typer.Option(help="File of VAR=VALUE lines; repeatable.")]
Secret = Annotated[
    list[str] | None, typer.Option(help="NAME, NAME=env:VAR or NAME=file:PATH; the file /run/secrets/NAME.")
]
Mount = Annotated[list[str] | None, typer.Option(help="SOURCE:TARGET[:rw]; read-only unless told.")]
User = Annotated[str | None, typer.Option(help="uid:gid; the owner of the workspace unless told.")]
Memory = Annotated[str | None, typer.Option(help="Memory limit of every task, whatever the plan says.")]
Pull = Annotated[str | None, typer.Option(help="Images: missing, always or never.")]
Parallel = Annotated[
    str | None, typer.Option(help="Starts under way at once: N, auto (by this host's pressure), or auto:N at most.")
]
PollInterval = Annotated[str | None, typer.Option(help="Seconds between progress lines.")]
StateDirectory = Annotated[str | None, typer.Option("--state-dir", help="Where journals, logs, slots and locks live.")]
Detach = Annotated[bool, typer.Option("--detach", help="Go on in a process of its own; return when it holds the run.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Facts as JSON lines on stdout, the result last.")]
Cache = Annotated[str | None, typer.Option(help="Keep each iteration's results and logs in here.")]
Output = Annotated[Path | None, typer.Option(help="Write the result to this file too.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done and why; do nothing.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say more on stderr.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the start of one, or latest.")]
Task = Annotated[str, typer.Argument(metavar="TASK", help="A task's id, or the start of one.")]
Attempt = Annotated[int | None, typer.Option(min=1, help="Number of the attempt; the newest one unless told.")]
