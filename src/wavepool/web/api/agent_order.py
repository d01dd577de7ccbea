"""What ``POST /api/tasks`` is sent."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from wavepool.web.api.launch_order import Text, Texts

PROMPTS_MAX = 100
"""In one order; a task list has any number."""

Prompt = Annotated[StrictStr, Field(min_length=1)]


class AgentOptions(BaseModel):
    """The options of `wavepool task` and `tasks`, by the same names with _ for -; else as this server has them."""

    model_config = ConfigDict(extra="forbid")

    agent: Text | None = None
    model: Text | None = None
    max_turns: Text | None = None
    account: Text | None = None
    max_cost: Text | None = None
    max_tokens: Text | None = None
    run_max_cost: Text | None = None
    run_max_tokens: Text | None = None
    repo: Text | None = Field(
        default=None, description="Git repository to work on; the one at `directory` unless told."
    )
    workspace_kind: Text | None = None
    egress: Texts | None = None
    network: Text | None = None
    allow_host: StrictBool | None = None
    no_key: StrictBool | None = None
    image: Text | None = None
    memory: Text | None = None
    cpus: Text | None = None
    pids: Text | None = None
    preset: Text | None = None
    timeout: Text | None = None
    environment: Texts | None = Field(default=None, description="VAR=VALUE; not private: secrets go by `secrets`.")
    env_file: Texts | None = None
    secret: Texts | None = Field(default=None, description="Sources on this host: NAME=env:VAR or NAME=file:PATH.")
    mount: Texts | None = None
    user: Text | None = None
    pull: Text | None = None
    driver: Text | None = None
    parallel: Text | None = None
    budget: Text | None = None
    retries: Text | None = None
    retry_on: Text | None = None
    keep_failed: StrictBool | None = None
    run_id: StrictStr | None = None
    poll_interval: Text | None = None
    cache: Text | None = None

    def given(self) -> dict[str, Any]:
        """Those that were."""
        return self.model_dump(exclude_none=True)


class AgentOrder(BaseModel):
    """What agents are to work on: prompts, or a task list that is sent or in a file of this host."""

    model_config = ConfigDict(extra="forbid")

    prompts: Annotated[list[Prompt], Field(min_length=1, max_length=PROMPTS_MAX)] | None = Field(
        default=None, description="Each is a task; it reaches its agent byte for byte."
    )
    agents: Text | None = Field(default=None, description="How many work on each prompt.")
    pool: Text | None = Field(default=None, description="Prompts: in parked containers of this agent type.")
    name: StrictStr | None = Field(default=None, description="Prompts: what ids of tasks begin with.")
    task_list: StrictStr | None = Field(default=None, description="JSON or YAML, as `wavepool tasks` reads it.")
    task_file: StrictStr | None = Field(default=None, min_length=1, max_length=4096, description="A file of this host.")
    flags: Texts = Field(default_factory=list, description="What stands behind --: further words for the agent.")
    options: AgentOptions = Field(default_factory=AgentOptions)
    secrets: dict[str, str] = Field(
        default_factory=dict,
        max_length=100,
        description="Values by name: files at /run/secrets. Kept nowhere: who resumes the run gives them anew.",
    )
    directory: str | None = Field(
        default=None, max_length=4096, description="Where its process works; else where serve does."
    )
