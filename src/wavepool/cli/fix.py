"""`wavepool fix --command CHECK`: check, plan, run, and check again, until nothing is wrong any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from wavepool.cli.agent_options import AgentOptions
from wavepool.cli.agent_words import AgentCommand, agent_words
from wavepool.cli.check_options import CheckOptions
from wavepool.cli.check_signals import sigterm_as_ctrl_c
from wavepool.cli.dashboard import check_page, page_of_run
from wavepool.cli.dead_fixes import dead_fix_lines
from wavepool.cli.fix_course import perform
from wavepool.cli.fix_order import Asked
from wavepool.cli.option_groups import with_options
from wavepool.cli.output import check_output, remark
from wavepool.cli.settings import settings_of
from wavepool.engine.recover.dead_runs import dead_run_lines
from wavepool.errors import SettingError
from wavepool.plan.making.filewords import notice_of
from wavepool.statedir import StateDir, new_run_id

ITERATIONS_MAX = 1000
WITHOUT = ("repo", "detach", "run_id", "cache")
"""Of what `task` can be told, `fix` says in other words, or not at all."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    verb = with_options(fix, {"check": CheckOptions, "shared": AgentOptions}, without=WITHOUT)
    app.command(name="fix", cls=AgentCommand, short_help="Have a failing check's errors mended, and check again.")(verb)


def fix(
    context: typer.Context,
    iterations: Annotated[str, typer.Option("-n", "--iterations", metavar="N", help="How often at most.")] = "3",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on to N after an iteration that left no fewer errors.")
    ] = False,
    workspace: Annotated[str | None, typer.Option(help="Directory to work on; this one unless told.")] = None,
    *,
    check: CheckOptions,
    shared: AgentOptions,
) -> None:
    """Run the check, give its errors to agents in batches, merge what they mended, and check again.

    In a git repository batches work in clones, and all that they mended is on one new branch, wavepool/fix-ID; the
    checkout stays as it is. Elsewhere, or with --workspace-kind shared, they work in the directory itself. The check
    runs in the image of the batches, as it executes what agents wrote; on this host only with --allow-host.

    What stands after -- is the command of each batch, where {files} stands for its files; with --agent it is that
    agent's. Neither: the agent claude.

    Exit code: 0 no errors are left, 1 some are, 2 bad input, 3 infrastructure, 130 Ctrl-C.
    """
    settings = settings_of(**check.settings(), **shared.settings(), workspace=workspace)
    words = tuple(agent_words(context))
    asked = Asked.of(
        settings,
        check,
        shared,
        words,
        most=_number(iterations),
        keep_going=keep_going,
        fix_id=new_run_id(datetime.now(UTC)),
    )
    check_output(shared.output)
    check_page(wanted=shared.dashboard, detach=False)
    if notice := notice_of(asked.labour.words or ()):
        remark(notice)
    state_dir = StateDir(settings.state_dir)
    with sigterm_as_ctrl_c(), page_of_run(settings, remark, wanted=shared.dashboard):
        for line in (*dead_fix_lines(state_dir), *dead_run_lines(state_dir)):
            remark(line)
        fixed = perform(asked)
    if fixed.error is not None:
        raise fixed.error
    raise typer.Exit(fixed.exit_code)


def _number(text: str) -> int:
    """Of iterations. Raises SettingError."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= number <= ITERATIONS_MAX:
        raise SettingError("--iterations", text, f"a whole number from 1 to {ITERATIONS_MAX}")
    return number
