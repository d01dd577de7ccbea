"""What ``POST /api/runs`` is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from wavepool.errors import SettingError

Text = StrictStr | StrictInt | StrictFloat
"""As it would stand on the command line; numbers may be numbers."""

Texts = Annotated[list[StrictStr], Field(max_length=1000)]


class RunOptions(BaseModel):
    """The options of `wavepool run`, by the same names with _ for -. What is not here is as this server has it."""

    model_config = ConfigDict(extra="forbid")

    base_image: Text | None = None
    workspace: Text | None = Field(default=None, description="Host directory that tasks work in.")
    network: Text | None = None
    isolate: Text | None = None
    environment: Texts | None = Field(default=None, description="VAR=VALUE; not private: secrets go by `secrets`.")
    env_file: Texts | None = None
    secret: Texts | None = Field(default=None, description="Sources on this host: NAME=env:VAR or NAME=file:PATH.")
    mount: Texts | None = None
    user: Text | None = None
    timeout: Text | None = None
    parallel: Text | None = None
    memory: Text | None = None
    cpus: Text | None = None
    pids: Text | None = None
    lifetime: Text | None = None
    preset: Text | None = None
    watch_pids: Text | None = None
    watch_memory: Text | None = None
    watch_lifetime: Text | None = None
    watch_progress: Text | None = None
    budget: Text | None = None
    schedule: Text | None = None
    start_order: Text | None = None
    warm: Text | None = Field(default=None, description="How many to start ahead, or auto.")
    retries: Text | None = None
    retry_on: Text | None = None
    keep_going: StrictBool | None = None
    keep_failed: StrictBool | None = None
    workspace_kind: Text | None = None
    egress: Texts | None = None
    run_max_cost: Text | None = None
    run_max_tokens: Text | None = None
    allow_host: StrictBool | None = None
    no_key: StrictBool | None = None
    driver: Text | None = None
    pull: Text | None = None
    run_id: StrictStr | None = None
    poll_interval: Text | None = None
    cache: Text | None = None

    def given(self) -> dict[str, Any]:
        """Those that were."""
        return self.model_dump(exclude_none=True)


class RunOrder(BaseModel):
    """A run to start."""

    model_config = ConfigDict(extra="forbid")

    plan: dict[str, Any] | None = Field(default=None, description="The wave plan, as `wavepool run` reads it.")
    plan_file: StrictStr | None = Field(
        default=None, min_length=1, max_length=4096, description="Instead of it: a file of this host that has one."
    )
    options: RunOptions = Field(default_factory=RunOptions)
    secrets: dict[str, str] = Field(
        default_factory=dict,
        max_length=100,
        description="Values by name: files at /run/secrets. Kept nowhere: who resumes the run gives them anew.",
    )
    directory: str | None = Field(
        default=None,
        max_length=4096,
        description="Where its process works; else where serve does.",
    )


class ResumeOrder(BaseModel):
    """How to go on with a run."""

    model_config = ConfigDict(extra="forbid")

    secrets: dict[str, str] = Field(
        default_factory=dict, max_length=100, description="Values by name, where it was started with some."
    )


class RetryOrder(BaseModel):
    """Which tasks are tried again: either some, or all that failed."""

    model_config = ConfigDict(extra="forbid")

    failed: StrictBool = Field(default=False, description="All that did not succeed.")
    tasks: Annotated[list[StrictStr], Field(max_length=10_000)] = Field(
        default_factory=list, description="Keys of tasks."
    )
    secrets: dict[str, str] = Field(
        default_factory=dict,
        max_length=100,
        description="Values by name, where it was started with some. Not of a live run, which has them.",
    )


class CancelOrder(BaseModel):
    """How a run is ended."""

    model_config = ConfigDict(extra="forbid")

    force: StrictBool = Field(default=False, description="Stop what runs; else that is waited for.")


def as_path(text: str) -> str:
    """A path as an argument that is neither an option nor standard input."""
    return f"./{text}" if text.startswith("-") else text


def directory_of(text: str | None) -> Path | None:
    """Where a process is to work. Raises SettingError: none can work there."""
    if text is None:
        return None
    path = Path(text)
    try:
        there = path.is_absolute() and path.is_dir()
    except (OSError, ValueError):
        there = False
    if not there:
        raise SettingError("directory", text, "the absolute path of a directory of this host")
    return path
