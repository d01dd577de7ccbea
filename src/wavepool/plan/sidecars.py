"""Maps of sidecars: the plan's, a batch's, and what both together mean for one task. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from wavepool.errors import PlanError
from wavepool.model import Sidecar
from wavepool.plan.services import check_name, read_service

SIDECARS_MAX = 32
"""Of one task; each is a container with a limit and an address of its own."""

Services = Mapping[str, Sidecar | None]
"""By name; None takes one of the plan's away."""


def read_services(given: object, path: str, warn: Callable[[str], None]) -> Services:
    """The services of a map by name. ``false`` or ``null`` in place of one, or of the map, stands for none.

    Args:
        path: of the map, for messages.
        warn: told one sentence, with its path, for each field that is left out.

    Raises:
        PlanError: with its whole path.
    """
    if given is None or given is False:
        return {}
    if not isinstance(given, dict):
        raise PlanError(path, given, "an object of services by name, or false for none")
    found: dict[str, Sidecar | None] = {}
    for name, entry in given.items():
        where = f"{path}.{name!s:.80}"
        try:
            check_name(name)
            none = entry is None or entry is False
            found[name] = None if none else read_service(name, entry, partial(_warn_at, warn, where))
        except PlanError as error:
            raise PlanError(f"{where}.{error.path}" if error.path else where, error.value, error.expected) from None
    return found


def _warn_at(warn: Callable[[str], None], where: str, sentence: str) -> None:
    warn(f"{where}.{sentence}")


def together(defaults: Services, own: Services, path: str) -> tuple[Sidecar, ...]:
    """The sidecars of one task: the plan's, with those of its batch over them; dependencies come first.

    Raises:
        PlanError: too many, a dependency that is not among them or leads back, two names that would share a variable.
    """
    merged = {**defaults, **own}
    chosen = {name: sidecar for name, sidecar in merged.items() if sidecar is not None}
    if len(chosen) > SIDECARS_MAX:
        raise PlanError(path, len(chosen), f"at most {SIDECARS_MAX} sidecars")
    variables: dict[str, str] = {}
    for name, sidecar in chosen.items():
        other = variables.setdefault(variable_name(name), name)
        if other != name:
            raise PlanError(f"{path}.{name}", name, f"a name that differs from {other} by more than - and _")
        for needed in sidecar.depends_on:
            if needed not in chosen:
                raise PlanError(f"{path}.{name}.depends_on", needed, "the name of a sidecar of the same task")
    return _ordered(chosen, path)


def check_writes(services: Services, path: str) -> None:
    """See that no sidecar of a plan writes outside its own directory by a relative path.

    Raises:
        PlanError: one would.
    """
    for name, sidecar in services.items():
        for index, volume in enumerate(sidecar.volumes if sidecar is not None else ()):
            if volume.source.startswith(".") and not volume.read_only and ".." in volume.source.split("/"):
                expected = "a path without .., or :ro (what a sidecar writes to a relative path is its own)"
                raise PlanError(f"{path}.{name}.volumes[{index}]", volume.source, expected)


def variable_name(sidecar: str) -> str:
    """The part of an environment variable that stands for a sidecar: ``my-db`` is ``MY_DB``."""
    return sidecar.upper().replace("-", "_")


def _ordered(chosen: Mapping[str, Sidecar], path: str) -> tuple[Sidecar, ...]:
    """Each after those that it depends on, else as written."""
    done: dict[str, Sidecar] = {}
    waiting = dict(chosen)
    while waiting:
        ready = [name for name, sidecar in waiting.items() if all(needed in done for needed in sidecar.depends_on)]
        if not ready:
            circle = ", ".join(waiting)
            raise PlanError(f"{path}.{next(iter(waiting))}.depends_on", circle, "no circle of sidecars")
        for name in ready:
            done[name] = waiting.pop(name)
    return tuple(done.values())
