"""`wavepool tasks FILE`: one run of a task list, each task worked on by an agent in a workspace of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from wavepool.cli.agent_options import AgentOptions, with_agent_options
from wavepool.cli.agent_run import run_agents
from wavepool.cli.agent_words import AgentCommand, agent_words
from wavepool.cli.prompts import read_tasks, usual_of
from wavepool.cli.settings import settings_of


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="tasks", cls=AgentCommand, short_help="Have agents work on a task list.")(
        with_agent_options(tasks)
    )


def tasks(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The task list: JSON or YAML, or - for stdin.")],
    *,
    shared: AgentOptions,
) -> None:
    """Have agents work on the tasks in FILE, each in a clone of the git repository around us.

    A task has an id, and a prompt or a prompt_file (prompts/<id>.md beside FILE unless told); besides it may have
    dependencies, max_turns, timeout_seconds, agent, model, memory and more: docs/tasks.md. What stands after -- is as
    for `wavepool task`.

    Exit code: 0 all succeeded, 1 some failed, 2 bad input, 3 infrastructure, 130 Ctrl-C.
    """
    settings = settings_of(**shared.settings())
    run_agents(read_tasks(file, usual_of(settings, agent_words(context))), settings, shared)
