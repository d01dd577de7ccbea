"""From options to what a pool is asked to run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from wavepool.cli.given import read_given
from wavepool.engine.control.pools import TaskOrder
from wavepool.errors import InputError, SettingError
from wavepool.inputs import parse_env_file, parse_environment, parse_secrets, parse_timeout, read_secret
from wavepool.units import DOCKER_MEMORY_MIN_BYTES, parse_size


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOrder:
    """Arguments and options as they were typed; None is not given."""

    agent_type: str
    command: Sequence[str] | None
    environment: Sequence[str] | None
    env_files: Sequence[str] | None
    secrets: Sequence[str] | None
    prompt_file: str | None
    directory: str | None
    memory: str | None
    cpus: float | None
    timeout: str | None
    stream: bool


def build_order(raw: RawOrder, grace_s: float) -> TaskOrder:
    """The order, with all that it needs read.

    Raises:
        InputError: a variable, a file, a secret or a limit is wrong, or cannot be read.
    """
    env: dict[str, str] = {}
    for name in raw.env_files or ():
        env.update(parse_env_file(_text(name, "--env-file").removeprefix("\ufeff"), name))
    env.update(parse_environment(raw.environment or (), option="--env"))
    prompt = "" if raw.prompt_file is None else _text(raw.prompt_file, "--prompt-file")
    return TaskOrder(
        agent_type=raw.agent_type,
        command=tuple(raw.command) if raw.command else None,
        env=env,
        secrets={each.name: read_secret(each, os.environ) for each in parse_secrets(raw.secrets or ())},
        prompt=prompt,
        directory=raw.directory or "",
        limits=_limits(raw),
        timeout_s=None if raw.timeout is None else parse_timeout(raw.timeout),
        grace_s=grace_s,
        stream=raw.stream,
    )


def _limits(raw: RawOrder) -> dict[str, float]:
    limits: dict[str, float] = {}
    if raw.memory is not None:
        limits["memory_bytes"] = _size(raw.memory)
    if raw.cpus is not None:
        limits["cpus"] = raw.cpus
    return limits


def _size(text: str) -> int:
    try:
        size_bytes = parse_size(text)
    except InputError:
        size_bytes = 0
    if size_bytes < DOCKER_MEMORY_MIN_BYTES:
        raise SettingError("--memory", text, "a size of at least 6m, such as 512m or 1g")
    return size_bytes


def _text(path: str, option: str) -> str:
    try:
        return read_given(path, option).decode("utf-8")
    except UnicodeDecodeError:
        raise SettingError(option, path, "a file in UTF-8") from None
