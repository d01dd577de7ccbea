"""The checks of a fix: all in one place, so that their counts compare; each makes a plan of what it finds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from wavepool.cli.agent_options import AgentOptions
from wavepool.cli.check_options import CheckOptions, plan_order, tiers_of
from wavepool.cli.fix_setting import Labour, told_which_image
from wavepool.cli.output import json_text, remark
from wavepool.cli.request import RawOptions, limit_policy_of, read_variables
from wavepool.config import Settings
from wavepool.core.fixes.facts import CheckIntended
from wavepool.core.fixes.values import Checked
from wavepool.errors import DriverUnavailable
from wavepool.fixing.checks import CheckLost
from wavepool.fixing.contained import give_up, may_yet_tell, new_check_id
from wavepool.fixing.planning import Planned, PlanOrder, plan_check
from wavepool.inputs import parse_mounts
from wavepool.plan import Plan, parse_plan
from wavepool.plan.making.findings import Findings
from wavepool.statedir import StateDir

CODELESS = ""
EXAMPLES = 5
"""Errors of a check that are told one by one."""


class FixChecks:
    """Runs the check in a directory: in the image, or on this host.

    Args:
        labour: whose image it is, and whose command each batch gets.
        image: None for this host.
        intends: told of each check before it begins.
    """

    def __init__(
        self,
        settings: Settings,
        check: CheckOptions,
        shared: AgentOptions,
        labour: Labour,
        *,
        image: str | None,
        intends: Callable[[CheckIntended], None] = lambda intended: None,
    ) -> None:
        self._settings = settings.model_copy(update={"check_image": image})
        self._check = check
        self._labour = labour
        raw = RawOptions(environment=shared.environment or (), env_files=shared.env_file or ())
        self._env = read_variables(raw)
        self._mounts = parse_mounts(shared.mount or ())
        self._tiers = tiers_of(settings)
        self._intends = intends

    def look(self, directory: Path) -> None:
        """See that all that was asked for can be, before anything is run. Raises InputError."""
        self._order(1, directory)

    def __call__(self, number: int, directory: Path, run_id: str | None = None) -> Checked:
        """Run it, and plan what it finds.

        Args:
            run_id: of the run that another process has begun for it, which is gone on with.

        Raises:
            WavepoolError: as `plan_check`; CheckLost where nothing is to be had of that run.
        """
        began_s = time.monotonic()
        order = self._order(number, directory)
        if order.container is not None:
            if run_id is not None and not may_yet_tell(StateDir(order.container.state_dir), run_id):
                raise CheckLost(f"the check {run_id} has told nothing")
            order = replace(order, container=replace(order.container, run_id=run_id or new_check_id()))
        if run_id is None:
            container = order.container
            self._intends(CheckIntended(number=number, run_id=None if container is None else container.run_id))
        try:
            with told_which_image(self._labour):
                planned = plan_check(order, remark)
        except DriverUnavailable as error:
            advice = "--allow-host has checks and agents work on this host itself, with all that you may do here."
            raise DriverUnavailable(error.message, advice=f"{error.advice}\n{advice}".strip()) from error
        for line in planned.notices:
            remark(line)
        found = planned.findings
        document = json_text(planned.document)
        plan = self.plan_of(document)
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
            plan=document,
        )

    def give_up(self, run_id: str) -> None:
        """End what a process before has begun as a check. Raises WavepoolError."""
        give_up(StateDir(self._settings.state_dir), run_id, remark)

    def _order(self, number: int, directory: Path) -> PlanOrder:
        order = plan_order(self._check, self._settings, directory)
        container = order.container
        if container is not None:
            container = replace(container, env=self._env, mounts=self._mounts)
        words = self._labour.words or ()
        return replace(order, container=container, named=directory, words=words, iteration=number)

    def plan_of(self, document: str) -> Plan:
        """The plan of a check, of which this is the JSON. Raises PlanError."""
        settings = self._settings
        return parse_plan(
            document.encode(),
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
