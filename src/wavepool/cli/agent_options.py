"""What `task` and `tasks` can both be told, declared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated

import typer

from wavepool.cli import options
from wavepool.cli.dashboard import Dashboard
from wavepool.cli.option_groups import with_options


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """The options of one call, as they were typed; None is not given."""

    agent: Annotated[str | None, typer.Option(help="Who works on prompts: claude, codex or command.")] = None
    model: Annotated[str | None, typer.Option(help="The agent's model; its own default unless told.")] = None
    max_turns: Annotated[str | None, typer.Option(help="Turns of one attempt (50).")] = None
    account: Annotated[str | None, typer.Option(help="Agents of one account wait out its limits together.")] = None
    max_cost: Annotated[
        str | None, typer.Option(help="US dollars of one attempt; stopped once it tells more, warned of if at its end.")
    ] = None
    max_tokens: Annotated[str | None, typer.Option(help="Tokens of one attempt, likewise.")] = None
    run_max_cost: Annotated[
        str | None, typer.Option(help="US dollars of all agents; all stops once they have told more.")
    ] = None
    run_max_tokens: Annotated[str | None, typer.Option(help="Tokens of all agents together, likewise.")] = None
    repo: Annotated[str | None, typer.Option(help="Git repository to work on; the one around us unless told.")] = None
    workspace_kind: Annotated[
        str | None, typer.Option(help="clone (each its own), worktree, or shared (the directory itself).")
    ] = None
    egress: Annotated[
        list[str] | None, typer.Option(help="A host that agents may reach beside their own; any: all. Repeatable.")
    ] = None
    network: Annotated[str | None, typer.Option(help="Instead of being sealed off: on this network, or none.")] = None
    allow_host: Annotated[
        bool | None, typer.Option("--allow-host", help="Agents may run without containers, if need be.")
    ] = None
    no_key: Annotated[bool, typer.Option("--no-key", help="Go on where the agent's API key is not there.")] = False
    image: Annotated[str | None, typer.Option(help="Image of agents; their adapter's unless told.")] = None
    memory: options.Memory = None
    cpus: Annotated[str | None, typer.Option(help="CPU limit of every task, in cores.")] = None
    pids: Annotated[str | None, typer.Option(help="Limit of processes of every task.")] = None
    preset: Annotated[str | None, typer.Option(help="Limits and watchdog: none, or guarded.")] = None
    timeout: Annotated[str | None, typer.Option(help="Bound of each attempt, as 3600 or 1h.")] = None
    environment: options.Environment = None
    env_file: options.EnvFile = None
    secret: options.Secret = None
    mount: options.Mount = None
    user: options.User = None
    pull: options.Pull = None
    driver: Annotated[str | None, typer.Option(help="auto, docker or process.")] = None
    parallel: options.Parallel = None
    budget: Annotated[str | None, typer.Option(help="Memory that tasks may hold together: a size, or auto.")] = None
    retries: Annotated[str | None, typer.Option(help="Attempts of a task altogether.")] = None
    retry_on: Annotated[str | None, typer.Option(help="Verdicts that are tried again, with commas.")] = None
    keep_failed: Annotated[
        bool | None, typer.Option("--keep-failed", help="Keep the file system of what did not succeed, for exec.")
    ] = None
    run_id: Annotated[str | None, typer.Option(help="Id of the run; an unfinished one is gone on with.")] = None
    state_dir: options.StateDirectory = None
    poll_interval: options.PollInterval = None
    cache: options.Cache = None
    detach: options.Detach = False
    dashboard: Dashboard = False
    output: options.Output = None
    json_lines: options.JsonLines = False
    dry_run: options.DryRun = False
    verbose: options.Verbose = False

    def settings(self) -> dict[str, object]:
        """Those that stand for settings, by the setting's name."""
        same = {name: getattr(self, name) for name in _SETTINGS}
        renamed = {setting: getattr(self, name) for name, setting in _RENAMED.items()}
        return same | renamed


_RENAMED = {"image": "agent_image", "timeout": "agent_timeout", "network": "agent_network"}
_NO_SETTINGS = {
    "no_key",
    "environment",
    "env_file",
    "secret",
    "mount",
    "run_id",
    "detach",
    "dashboard",
    "output",
    "json_lines",
    "dry_run",
    "verbose",
}
_SETTINGS = [each.name for each in fields(AgentOptions) if each.name not in {*_RENAMED, *_NO_SETTINGS}]


def with_agent_options(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb for Typer that has these options beside its own parameters, and gets them in its parameter `shared`."""
    return with_options(verb, {"shared": AgentOptions})
