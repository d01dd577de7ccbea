"""The command line: ``python -m bench [NAME...] [--json] [--runs N] [--alone] [--list]``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import anyio

from bench import (
    agents,
    alone,
    burst,
    cleanup,
    criteria,
    dashboard,
    decisions,
    dispatch,
    drivers,
    exits,
    looking,
    makespan,
    million,
    packing,
    reading,
    resume,
    reuse,
    sizing,
    spawn,
    sustained,
    watching,
)
from bench.harness import Figure, Options
from bench.report import as_json, as_table

Family = Callable[[Options], Awaitable[list[Figure]]]

FAMILIES: dict[str, Family] = {
    "decisions": decisions.measure,
    "makespan": makespan.measure,
    "packing": packing.measure,
    "sizing": sizing.measure,
    "million": million.measure,
    "reading": reading.measure,
    "looking": looking.measure,
    "resume": resume.measure,
    "spawn": spawn.measure,
    "cleanup": cleanup.measure,
    "exits": exits.measure,
    "watching": watching.measure,
    "criteria": criteria.measure,
    "dispatch": dispatch.measure,
    "sustained": sustained.measure,
    "reuse": reuse.measure,
    "burst": burst.measure,
    "agents": agents.measure,
    "dashboard": dashboard.measure,
    "drivers": drivers.measure,
}
"""In the order in which they run: the simulated ones first, the others need Docker and the test image."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for. Exit code: 0, 1 where a family could not be measured, 2 where there is none so named.

    A goal that is missed is printed as missed and is no failure.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="families to measure; all if none is named")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--runs", type=int, help="readings of each way, instead of each family's usual number")
    parser.add_argument(
        "--alone", action="store_true", help="before all others on a busy machine, on a Docker daemon of its own"
    )
    parser.add_argument("--list", action="store_true", help="print the families and end")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.names if name not in FAMILIES]
    if unknown or (asked.runs is not None and asked.runs < 1):
        problem = f"no family {', '.join(unknown)}" if unknown else "--runs is at least 1"
        print(f"{problem}; there are: {', '.join(FAMILIES)}", file=sys.stderr)
        return 2
    if asked.list:
        for name, family in FAMILIES.items():
            print(f"{name:12} {(sys.modules[family.__module__].__doc__ or '').splitlines()[0]}")
        return 0
    if asked.alone:
        given = sys.argv[1:] if arguments is None else arguments
        return anyio.run(alone.run, [each for each in given if each != "--alone"])
    figures, failed = anyio.run(_measure, asked.names or list(FAMILIES), Options(runs=asked.runs))
    print(as_json(figures, _machine()) if asked.json else as_table(figures))
    for sentence in failed:
        _say(f"NOT MEASURED: {sentence}")
    return 1 if failed else 0


async def _measure(names: Sequence[str], options: Options) -> tuple[list[Figure], list[str]]:
    """The figures, and a sentence for each family that could not be measured."""
    figures: list[Figure] = []
    failed: list[str] = []
    for name in dict.fromkeys(names):
        began_s = time.monotonic()
        _say(f"{name} ...")
        try:
            figures += await FAMILIES[name](options)
        except Exception as error:  # what was measured so far must not be lost
            failed += [f"{name}: {type(leaf).__name__}: {leaf}" for leaf in _leaves(error)]
        _say(f"{name} took {time.monotonic() - began_s:.0f} s")
    return figures, failed


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _machine() -> dict[str, object]:
    return {
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(each, 2) for each in os.getloadavg()],
        "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


if __name__ == "__main__":
    sys.exit(main())
