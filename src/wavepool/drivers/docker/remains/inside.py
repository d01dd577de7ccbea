"""Command lines of the docker command that put a person into a kept image, or into a container that runs.

The docker command and not the API: it owns the terminal (raw mode, resizes, signals) and gives back the exit code.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from wavepool import labels
from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.starting.spec import WORKSPACE_TARGET, environment, forbidden, user_of
from wavepool.errors import NotStarted
from wavepool.model import Handle, Mount

DEFAULT_COMMAND = ("sh",)

BRIDGE = "bridge"
"""Docker's own network, where that of the attempt is gone."""


def running_argv(handle: Handle, command: Sequence[str], *, terminal: bool) -> list[str]:
    """`docker exec` into a container that runs: as its user, with all that it has, its secrets too."""
    return ["docker", "exec", _streams(terminal), handle.id or handle.name, *(command or DEFAULT_COMMAND)]


def kept_argv(
    spec: AttemptSpec, reference: str, command: Sequence[str], *, terminal: bool, network_is_gone: bool
) -> tuple[list[str], dict[str, str]]:
    """`docker run` of a kept image with the attempt's confinement, and the variables that it takes from us by name.

    Args:
        spec: of the attempt; its secrets are not given again.
        reference: the kept image.
        network_is_gone: the attempt's network does not exist any more.

    Raises:
        NotStarted: its workspace is not there, or a mount of it is never allowed.
    """
    program, *arguments = command or DEFAULT_COMMAND
    limits = spec.limits
    argv = ["docker", "run", "--rm", _streams(terminal), "--init", "--pull", "never", "--log-driver", "none"]
    argv += ["--user", user_of(spec), "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    argv += ["--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)]
    argv += ["--cpus", str(limits.cpus)] if limits.cpus is not None else []
    argv += ["--pids-limit", str(limits.pids)] if limits.pids is not None else []
    argv += ["--network", _network(spec, is_gone=network_is_gone), "--workdir", WORKSPACE_TARGET]
    for mount in (Mount(source=str(spec.workspace), target=WORKSPACE_TARGET, read_only=False), *spec.mounts):
        argv += ["--mount", _mount(spec, mount)]
    for name, value in _own_labels(spec).items():
        argv += ["--label", f"{name}={value}"]
    given = {name: value for name, value in environment(spec).items() if name == "TASK_PROMPT"}
    for name in given:
        argv += ["--env", name]  # by name alone: what stands in argv is seen by all users of the machine
    return [*argv, "--entrypoint", program, reference, *arguments], given


def _streams(terminal: bool) -> str:
    return "-it" if terminal else "-i"


def _network(spec: AttemptSpec, *, is_gone: bool) -> str:
    if spec.network is None:
        return "none"
    return BRIDGE if is_gone else spec.network


def _own_labels(spec: AttemptSpec) -> dict[str, str]:
    """Over those that the image has: it is ours, of this attempt, and no attempt itself."""
    return {
        labels.OWNER: spec.owner,
        labels.RUN: spec.run_id,
        labels.TASK: spec.attempt.task_id,
        labels.ATTEMPT: str(spec.attempt.number),
        labels.ROLE: labels.EXEC,
    }


def _mount(spec: AttemptSpec, mount: Mount) -> str:
    refusal = forbidden(mount.source)
    if refusal:
        raise NotStarted(f"{spec.name}: {mount.source} is never mounted: {refusal}")
    fields = ["type=bind", f"source={Path(mount.source).absolute()}", f"target={mount.target}"]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([*fields, *(["readonly"] if mount.read_only else [])])
    return line.getvalue()
