"""The checks of a fix: all in one place, so that their counts compare; each makes a plan of what it finds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from wavepool.cli.agent_options import AgentOptions
from wavepool.cli.check_options import CheckOptions, plan_order, tiers_of
from wavepool.cli.fix_setting import Labour, told_which_image
from wavepool.cli.output import json_text, remark
from wavepool.cli.request import RawOptions, limit_policy_of, read_variables
from wavepool.config import Settings
from wavepool.errors import DriverUnavailable
from wavepool.fixing.iterations import Checked
from wavepool.fixing.planning import Planned, PlanOrder, plan_check
from wavepool.inputs import parse_mounts
from wavepool.plan import Plan, parse_plan
from wavepool.plan.making.findings import Findings

CODELESS = ""
EXAMPLES = 5
"""Errors of a check that are told one by one."""


class FixChecks:
    """Runs the check in a directory: in the image, or on this host.

    Args:
        labour: whose image it is, and whose command each batch gets.
        image: None for this host.
    """

    def __init__(
        self, settings: Settings, check: CheckOptions, shared: AgentOptions, labour: Labour, *, image: str | None
    ) -> None:
        self._settings = settings.model_copy(update={"check_image": image})
        self._check = check
        self._labour = labour
        raw = RawOptions(environment=shared.environment or (), env_files=shared.env_file or ())
        self._env = read_variables(raw)
        self._mounts = parse_mounts(shared.mount or ())
        self._tiers = tiers_of(settings)
        self.last: Planned | None = None

    def look(self, directory: Path) -> None:
        """See that all that was asked for can be, before anything is run. Raises InputError."""
        self._order(1, directory)

    def __call__(self, number: int, directory: Path) -> Checked:
        """Run it, and plan what it finds. Raises WavepoolError."""
        began_s = time.monotonic()
        try:
            with told_which_image(self._labour):
                planned = self.last = plan_check(self._order(number, directory), remark)
        except DriverUnavailable as error:
            advice = "--allow-host has checks and agents work on this host itself, with all that you may do here."
            raise DriverUnavailable(error.message, advice=f"{error.advice}\n{advice}".strip()) from error
        for line in planned.notices:
            remark(line)
        found = planned.findings
        plan = self._plan(planned.document)
        return Checked(
            passed=planned.passed,
            errors=found.errors + (found.warnings if self._check.warnings else 0),
            warnings=0 if self._check.warnings else found.warnings,
            files=len(found.files),
            codes=_codes(planned),
            batches=len(plan.tasks),
            waves=planned.waves,
            set_apart=sum(each.errors for each in found.set_apart) + found.beyond + found.unplaced.errors,
            examples=() if planned.passed else tuple(islice(_errors(found), EXAMPLES)),
            took_s=time.monotonic() - began_s,
            plan=plan,
        )

    def _order(self, number: int, directory: Path) -> PlanOrder:
        order = plan_order(self._check, self._settings, directory)
        container = order.container
        if container is not None:
            container = replace(container, env=self._env, mounts=self._mounts)
        words = self._labour.words or ()
        return replace(order, container=container, named=directory, words=words, iteration=number)

    def _plan(self, document: Mapping[str, object]) -> Plan:
        settings = self._settings
        return parse_plan(
            json_text(document).encode(),
            source="the plan",
            tiers=self._tiers,
            memory_override_bytes=settings.memory,
            policy=limit_policy_of(settings),
        )


def _errors(found: Findings) -> Iterator[str]:
    """Each as ``file:line: code message``, without a file last."""
    for each in chain.from_iterable(file.diagnostics for file in (*found.files, found.unplaced)):
        line = "" if each.line is None else f":{each.line}"
        where = f"{each.path}{line}: " if each.path else ""
        yield f"{where}{f'{each.code} ' if each.code else ''}{' '.join(each.message.split())}"


def _codes(planned: Planned) -> dict[str, int]:
    """Of all errors that are to be mended, the most frequent kinds first."""
    counted: dict[str, int] = {}
    for file in planned.findings.files:
        for code, number in file.codes.items():
            counted[code] = counted.get(code, 0) + number
        if rest := file.errors - sum(file.codes.values()):
            counted[CODELESS] = counted.get(CODELESS, 0) + rest
    return dict(sorted(counted.items(), key=lambda each: (-each[1], each[0])))
