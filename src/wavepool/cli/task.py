"""`wavepool task PROMPT...`: one run of one or several prompts, each given to an agent in a workspace of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from wavepool.cli.agent_options import AgentOptions, with_agent_options
from wavepool.cli.agent_run import run_agents
from wavepool.cli.agent_words import AgentCommand, agent_words
from wavepool.cli.prompts import read_prompts, usual_of
from wavepool.cli.settings import settings_of
from wavepool.errors import SettingError
from wavepool.plan import plan_of_prompts

AGENTS_MAX = 1000


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="task", cls=AgentCommand, short_help="Have agents work on prompts.")(with_agent_options(task))


def task(
    context: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", help="What to do: text, @FILE, or - (stdin)."),
    ] = None,
    prompt_file: Annotated[
        list[str] | None, typer.Option(help="A file with one more prompt; - for stdin. Repeatable.")
    ] = None,
    agents: Annotated[
        str, typer.Option("-n", "--agents", metavar="N", help="How many agents work on each prompt.")
    ] = "1",
    pool: Annotated[
        str | None, typer.Option(metavar="TYPE", help="In parked containers of this agent type (wavepool serve).")
    ] = None,
    name: Annotated[str, typer.Option(help="What the tasks' ids begin with, instead of task.")] = "",
    *,
    shared: AgentOptions,
) -> None:
    """Have agents work on PROMPTs, each in a clone of the git repository around us; what they change is a branch each.

    A prompt reaches its agent byte for byte. What stands after -- is the agent's: more of its flags, or, for --agent
    command, the program that does the work, with the prompt on its standard input.

    Exit code: 0 all succeeded, 1 some failed, 2 bad input, 3 infrastructure, 130 Ctrl-C.
    """
    settings = settings_of(**shared.settings())
    usual = usual_of(settings, agent_words(context))
    plan = plan_of_prompts(read_prompts(prompts or (), prompt_file or ()), usual, copies=_number(agents), name=name)
    run_agents(plan, settings, shared, pool=pool)


def _number(text: str) -> int:
    """Of agents for each prompt. Raises SettingError."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= number <= AGENTS_MAX:
        raise SettingError("--agents", text, f"a whole number from 1 to {AGENTS_MAX}")
    return number
