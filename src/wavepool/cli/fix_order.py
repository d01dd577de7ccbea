"""What a fix was asked for: from its options, and, where it is gone on with, from what its journal has of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from wavepool.cli.agent_options import AgentOptions
from wavepool.cli.check_options import CheckOptions
from wavepool.cli.fix_setting import Labour, Whereabouts, labour_of, whereabouts_of
from wavepool.cli.prompts import usual_of
from wavepool.cli.request import RawOptions, read_variables
from wavepool.config import Settings
from wavepool.core.fixes.facts import FixOpened
from wavepool.errors import InfrastructureError, InputError
from wavepool.fixing.ground import Purse
from wavepool.fixing.report import Setting

_OF_ONE_CALL = ("dashboard", "json_lines", "verbose", "dry_run", "detach")
"""How a fix is shown: whoever goes on with it says that anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All that was asked for, checked.

    Attributes:
        words: that stand after ``--``.
        most: iterations at most.
    """

    settings: Settings
    check: CheckOptions
    shared: AgentOptions
    words: tuple[str, ...]
    labour: Labour
    where: Whereabouts
    most: int
    keep_going: bool
    fix_id: str

    @classmethod
    def of(
        cls,
        settings: Settings,
        check: CheckOptions,
        shared: AgentOptions,
        words: tuple[str, ...],
        *,
        most: int,
        keep_going: bool,
        fix_id: str,
    ) -> Asked:
        """Raises InputError: something of it cannot be."""
        order = usual_of(settings, words).order
        return cls(
            settings=settings,
            check=check,
            shared=shared,
            words=words,
            labour=labour_of(settings, order, words, agent_named=shared.agent is not None),
            where=whereabouts_of(settings),
            most=most,
            keep_going=keep_going,
            fix_id=fix_id,
        )

    @property
    def image(self) -> str | None:
        """That the check runs in; None for this host."""
        usual = None if self.settings.allow_host else self.labour.image
        return self.settings.check_image or usual

    @property
    def purse(self) -> Purse:
        """Of all iterations together."""
        return Purse(cost_usd=self.settings.run_max_cost, tokens=self.settings.run_max_tokens)

    @property
    def setting(self) -> Setting:
        """For the outcome."""
        return Setting(
            fix_id=self.fix_id,
            command=self.check.command or "",
            where=self.image or "host",
            kind=self.where.kind.value,
            most=self.most,
            journaled=not self.shared.dry_run,
        )

    def order(self) -> str:
        """As JSON that `asked_again` reads. No secret is in it; variables are, as in the journal of a run."""
        given = self.settings.model_copy(update={"workspace": self.where.workspace})
        raw = RawOptions(environment=self.shared.environment or (), env_files=self.shared.env_file or ())
        output = self.shared.output
        shared = replace(
            self.shared,
            environment=[f"{name}={value}" for name, value in read_variables(raw).items()],
            env_file=None,
            output=None if output is None else output.absolute(),
        )
        return json.dumps(
            {
                "directory": os.getcwd(),
                "settings": given.model_dump(mode="json", include={*given.model_fields_set, "workspace"}),
                "check": _typed(self.check),
                "shared": {name: value for name, value in _typed(shared).items() if name not in _OF_ONE_CALL},
                "words": self.words,
            }
        )


def asked_again(opened: FixOpened, state_dir: Path, **now: Any) -> Asked:
    """What the fix was asked for that this fact opened. Changes into the directory that it was begun in.

    Args:
        now: options of `AgentOptions` that are told anew.

    Raises:
        InputError: that directory is gone, or something else that it needs.
        InfrastructureError: another release has written it.
    """
    try:
        kept: Mapping[str, Any] = json.loads(opened.order)
        settings = Settings.model_validate({**kept["settings"], "state_dir": str(state_dir)})
        output = kept["shared"].get("output")
        shared = AgentOptions(**{**kept["shared"], "output": output and Path(output)})
        check, words, directory = CheckOptions(**kept["check"]), tuple(kept["words"]), str(kept["directory"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InfrastructureError(
            f"what fix {opened.fix_id} was asked for cannot be read: {' '.join(str(error).split())}",
            advice="Another release of Wavepool has begun it: go on with that one.",
        ) from error
    try:
        os.chdir(directory)
    except OSError as error:
        raise InputError(
            f"fix {opened.fix_id} was begun in {directory}, which cannot be entered: {error.strerror}",
            advice="Paths among its options count from there: make it again.",
        ) from None
    return Asked.of(
        settings,
        check,
        replace(shared, **now),
        words,
        most=opened.most,
        keep_going=opened.keep_going,
        fix_id=opened.fix_id,
    )


def _typed(options: CheckOptions | AgentOptions) -> dict[str, Any]:
    """Options that were given, as they were typed."""
    values = {each.name: getattr(options, each.name) for each in fields(options)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items() if value}
