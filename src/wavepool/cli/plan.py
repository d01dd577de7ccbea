"""`wavepool plan --command CHECK`: from a command that fails to the wave plan that `wavepool run` takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from wavepool.agents import adapter
from wavepool.cli import options
from wavepool.cli.agent_words import AgentCommand, agent_words
from wavepool.cli.check_options import CheckOptions, plan_order
from wavepool.cli.check_signals import sigterm_as_ctrl_c
from wavepool.cli.option_groups import with_options
from wavepool.cli.output import check_output, json_text, progress_line, write_text
from wavepool.cli.pipes import is_refused_output
from wavepool.cli.plan_text import plan_text
from wavepool.cli.plan_words import check_words, result_words
from wavepool.cli.settings import settings_of
from wavepool.config import Settings
from wavepool.errors import InfrastructureError, SettingError, UserInterrupt
from wavepool.fixing.given import check_input
from wavepool.fixing.planning import Planned, PlanOrder, plan_check
from wavepool.inputs import check_workspace
from wavepool.inputs.yamltext import dump_yaml
from wavepool.model import AgentOrder
from wavepool.plan.making import filewords

FORMATS = ("text", "json", "yaml")
_BY_NAME = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".txt": "text"}
NO_BATCH = 1
"""Exit code where there are errors, and none that a batch could be made of."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    verb = with_options(plan, {"checked": CheckOptions}, without=("check_timeout",))
    app.command(name="plan", cls=AgentCommand, short_help="Make a plan of what a failing command tells.")(verb)


def plan(
    context: typer.Context,
    input_: Annotated[
        str | None,
        typer.Option("--input", metavar="FILE", help="Read this output, and run no command; - for stdin."),
    ] = None,
    workspace: Annotated[str | None, typer.Option(help="Where the check runs and its paths begin; here.")] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", "--check-timeout", help="The check is ended when it lasts longer (10m)."),
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Memory that a wave may hold: a size, or auto.")] = None,
    memory: options.Memory = None,
    agent: Annotated[str | None, typer.Option(help="Who works on the batches: claude, codex or command.")] = None,
    driver: Annotated[str | None, typer.Option(help="Whose memory --budget auto is: auto, docker or process.")] = None,
    user: options.User = None,
    pull: options.Pull = None,
    state_dir: options.StateDirectory = None,
    output: options.Output = None,
    format_: Annotated[str | None, typer.Option("--format", help="text (on a terminal), json (else), or yaml.")] = None,
    verbose: options.Verbose = False,
    *,
    checked: CheckOptions,
) -> None:
    """Run a command that fails, read its errors, and write a plan whose batches can mend them.

    The plan is on stdout, for `wavepool run -`. What stands after -- is the command of each batch, where the word
    {files} stands for its files:

    wavepool plan -c "ruff check ." -- ruff check --fix {files} | wavepool run - --workspace . --driver process

    Instead of --driver process, --base-image IMAGE names an image with your tools in it.

    Exit code: 0 a plan, or nothing to do; 1 there are errors, and none that a batch could be made of; 2 bad input,
    3 the check came to no end that can be planned by, 130 Ctrl-C.
    """
    with _named_as_typed():
        settings = settings_of(
            **{**checked.settings(), "check_timeout": timeout},
            workspace=workspace,
            budget=budget,
            memory=memory,
            driver=driver,
            user=user,
            pull=pull,
            state_dir=state_dir,
        )
    words = tuple(agent_words(context))
    filewords.check_words(words)
    if notice := filewords.notice_of(words):
        progress_line(notice)
    _check_format(format_)
    check_output(output)
    order = _order(checked, settings, input_)
    order = replace(order, agent=_agent(agent), words=words)
    try:
        with sigterm_as_ctrl_c():
            planned = plan_check(order, progress_line)
    except KeyboardInterrupt:
        raise UserInterrupt("interrupted: the check was ended, and there is no plan") from None
    for line in (*check_words(planned, order, verbose=verbose), *planned.notices):
        progress_line(line)
    for line in result_words(planned, order):
        progress_line(line)
    if not planned.passed and not planned.waves:
        raise typer.Exit(NO_BATCH)
    _deliver(planned, output, format_)


@contextmanager
def _named_as_typed() -> Iterator[None]:
    """The option that has two names here is told by both."""
    try:
        yield
    except SettingError as error:
        if error.name != "--check-timeout":
            raise
        names = "--timeout (or --check-timeout)"
        raise SettingError(names, error.value, error.expected, advice=error.advice) from None


def _order(checked: CheckOptions, settings: Settings, given: str | None) -> PlanOrder:
    """What was asked for. Raises InputError."""
    if given is not None and settings.check_image is not None:
        raise SettingError("--check-image", settings.check_image, "nothing beside --input: no check is run")
    if given is not None:
        check_input(given)
    chosen = settings.workspace if "workspace" in settings.model_fields_set else Path.cwd()
    order = plan_order(checked, settings, check_workspace(chosen), given=given)
    return replace(order, named=chosen)


def _agent(name: str | None) -> AgentOrder | None:
    """Raises InputError: there is none of that name."""
    return None if name is None else AgentOrder(name=adapter(name).name)


def _check_format(given: str | None) -> None:
    if given is not None and given not in FORMATS:
        raise SettingError("--format", given, "text, json or yaml")


def _deliver(planned: Planned, output: Path | None, given: str | None) -> None:
    """The plan, everywhere it was asked for.

    Raises:
        InputError: a file cannot be written.
        InfrastructureError: standard output takes no more.
    """
    if output is not None:
        named = _BY_NAME.get(output.suffix.lower())
        write_text(output, _rendered(planned, named or given or "json"))
    try:
        sys.stdout.write(_rendered(planned, given or ("text" if sys.stdout.isatty() else "json")))
        sys.stdout.flush()
    except OSError as error:
        if not is_refused_output(error):
            raise
        raise InfrastructureError(f"cannot write the plan: {error.strerror or error}") from error


def _rendered(planned: Planned, form: str) -> str:
    if form == "text":
        return "nothing to do\n" if planned.passed else plan_text(planned.document)
    return dump_yaml(planned.document) if form == "yaml" else json_text(planned.document)
