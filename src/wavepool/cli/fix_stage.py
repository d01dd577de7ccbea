"""Who is told of a fix while it goes on, and what it came to."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from wavepool.cli.output import print_result, remark, write_json
from wavepool.cli.plan_text import plan_text
from wavepool.core.fixes.values import Ending
from wavepool.fixing.iterations import Fixed, Told
from wavepool.fixing.report import (
    Setting,
    began_json,
    check_line,
    codes_line,
    result_of,
    summary_lines,
    told_json,
    work_lines,
)
from wavepool.listeners import JsonLinesListener


class Stage:
    """Lines on stderr, and, with --json, lines on stdout."""

    def __init__(self, events: JsonLinesListener | None, *, verbose: bool) -> None:
        self._events = events
        self._verbose = verbose
        self._batches = 0

    def tell(self, told: Told) -> None:
        """A check or a run has ended."""
        if self._events is not None:
            self._events.say(told_json(told))
        if told.checked is not None:
            self._batches = told.checked.batches
            remark(check_line(told))
            if self._verbose and told.checked.errors:
                remark(f"  {codes_line(told.checked)}")
            return
        for line in work_lines(told, batches=self._batches):
            remark(line)

    def begin(self, setting: Setting) -> None:
        """What is about to be done."""
        if self._events is not None:
            self._events.say(began_json(setting))

    def finish(self, fixed: Fixed, setting: Setting, output: Path | None) -> None:
        """The end: a summary on stderr, and the result on stdout; not where that is a terminal, as the summary says it.

        A rehearsal tells the plan of its check.

        Raises:
            InputError: it cannot be written to `output`.
        """
        planned = fixed.ending is Ending.PLANNED and fixed.first is not None
        plan = json.loads(fixed.first.plan) if planned and fixed.first is not None else None
        result = result_of(fixed, setting) | ({} if plan is None else {"plan": plan})
        for line in summary_lines(fixed, setting):
            remark(line)
        if output is not None:
            write_json(output, result)
        if self._events is not None:
            self._events.finish(result)
        elif not sys.stdout.isatty():
            print_result(result)
        elif plan is not None:
            sys.stdout.write(plan_text(plan))
