"""Verbs that are no jobs, and why."""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.errors import InputError

_WHY = {
    "serve": (
        "one process serves a state directory, and that is this one",
        "Start another `wavepool serve` by hand, with another --state-dir.",
    ),
    "attach": (
        "it shows a run on a terminal",
        "The WebSocket at /ws tells the changes of a run, and GET /api/runs/{run} where it stands.",
    ),
}
_GOES_ON = {
    "run": "POST /api/runs starts a run that goes on without this process.",
    "resume": "POST /api/runs/{run}/resume does it in a process that goes on without this one.",
    "retry": "POST /api/runs/{run}/retry does it in a process that goes on without this one.",
    "task": "Say --detach, so that its run goes on without this process.",
    "tasks": "Say --detach, so that its run goes on without this process.",
}
"""Runs that would end with this process, were they jobs."""

_HARMLESS = frozenset({"--detach", "--dry-run", "--help"})


def check_arguments(arguments: Sequence[str]) -> None:
    """See that these words after `wavepool` can be a job.

    Raises:
        InputError: there is no verb, it is one that is no job, or a page of its own would be opened.
    """
    verb = arguments[0] if arguments else ""
    if not verb or (verb.startswith("-") and verb not in ("--version", "--help")):
        raise InputError(
            "the first argument of a job is a verb of `wavepool`",
            advice='As in {"arguments": ["runs", "--json"]}; `wavepool --help` lists all.',
        )
    if verb in _WHY:
        why, advice = _WHY[verb]
        raise InputError(f"`wavepool {verb}` is no job: {why}", advice=advice)
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if verb in _GOES_ON and not _HARMLESS.intersection(before):
        raise InputError(
            f"`wavepool {verb}` is no job without --detach or --dry-run: it would end with this process",
            advice=_GOES_ON[verb],
        )
    if "--dashboard" in before:
        raise InputError(f"`wavepool {verb} --dashboard` is no job", advice="This page shows its run as well.")
