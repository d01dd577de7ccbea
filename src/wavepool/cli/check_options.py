"""What `plan` and `fix` can both be told of the check and of what is planned by it, declared once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from wavepool.config import Settings
from wavepool.errors import SettingError, UnreadableFile
from wavepool.fixing.checks import Check, argv_of
from wavepool.fixing.contained import Container
from wavepool.fixing.planning import PlanOrder
from wavepool.plan import TierMap
from wavepool.plan.diagnostics.registry import LANGUAGES
from wavepool.plan.grouping import Strategy
from wavepool.plan.packing import PackingWay
from wavepool.plan.tierfile import read_tiers

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """The options of one call, as they were typed; None is not given."""

    command: Annotated[
        str | None, typer.Option("--command", "-c", help="The check: what fails as long as something is wrong.")
    ] = None
    shell: Annotated[bool, typer.Option("--shell", help="Have a shell read the command (pipes, &&, variables).")] = (
        False
    )
    language: Annotated[str, typer.Option(help="Whose tools' output is looked for, with commas; auto: all.")] = AUTO
    strategy: Annotated[
        str | None, typer.Option(help="What a batch gets: imports (files that belong together), directory, or file.")
    ] = None
    packing: Annotated[str | None, typer.Option(help="best (few waves), shortest, or in-order.")] = None
    max_parallel: Annotated[str | None, typer.Option(help="Batches of a wave at most (32).")] = None
    max_files: Annotated[str | None, typer.Option(help="Files of a batch at most (20).")] = None
    tier_config: Annotated[str | None, typer.Option(help="Files and memory of the tiers: a JSON file.")] = None
    warnings: Annotated[bool, typer.Option("--warnings", help="Plan warnings as errors are.")] = False
    check_timeout: Annotated[str | None, typer.Option(help="The check is ended when it lasts longer (10m).")] = None
    output_limit: Annotated[str | None, typer.Option(help="The check is ended when it writes more (256m).")] = None
    check_image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Run the check in a container of this image, not on this host.")
    ] = None
    check_memory: Annotated[str | None, typer.Option(help="Memory limit of that container (2g).")] = None

    def settings(self) -> dict[str, object]:
        """Those that stand for settings, by the setting's name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _NO_SETTINGS}


_NO_SETTINGS = {"command", "shell", "language", "warnings"}


def plan_order(options: CheckOptions, settings: Settings, workspace: Path, *, given: str | None = None) -> PlanOrder:
    """What is to be checked and planned, as far as these options tell.

    Args:
        workspace: absolute, without links.
        given: instead of running a command: the file with its output.

    Raises:
        InputError: an option, or the file of the tiers, is wrong.
    """
    if options.command is None and given is None:
        raise SettingError("--command", None, 'the check to be run, such as "npx tsc --noEmit"')
    shown = options.command or ""
    check = Check(
        argv=argv_of(shown, shell=options.shell) if options.command is not None else (),
        shown=shown,
        shell=options.shell,
        workspace=workspace,
        timeout_s=settings.check_timeout,
        output_limit_bytes=settings.output_limit,
    )
    return PlanOrder(
        check=check,
        given=given,
        container=container_of(settings),
        named=settings.workspace,
        languages=languages_of(options.language),
        warnings=options.warnings,
        strategy=Strategy(settings.strategy),
        max_files=settings.max_files,
        way=PackingWay(settings.packing),
        max_parallel=settings.max_parallel,
        budget=settings.budget,
        driver=settings.driver,
        state_dir=settings.state_dir,
        tiers=tiers_of(settings),
        memory_bytes=settings.memory,
    )


def languages_of(text: str) -> frozenset[str] | None:
    """The languages that were named, with commas between; None for all.

    Raises:
        SettingError: there is none of a name.
    """
    names = {each.strip().lower() for each in text.split(",")}
    if names == {AUTO}:
        return None
    if unknown := sorted(names - set(LANGUAGES)):
        raise SettingError("--language", ", ".join(unknown), f"{AUTO}, or of {', '.join(LANGUAGES)}")
    return frozenset(names)


def tiers_of(settings: Settings) -> TierMap:
    """The tiers: of the file, and over it the environment's memory.

    Raises:
        UnreadableFile: the file cannot be read.
        PlanError: something in it is wrong.
    """
    tiers = TierMap(overrides=settings.tier_overrides)
    path = settings.tier_config
    if path is None:
        return tiers
    try:
        raw = path.read_bytes()
    except OSError as error:
        advice = 'Name a JSON file such as {"tier_1": {"max_files": 1, "memory": "512m"}}.'
        raise UnreadableFile("--tier-config", str(path), error, advice=advice) from None
    return replace(tiers, tiers=read_tiers(raw, str(path)))


def container_of(settings: Settings) -> Container | None:
    """Where the check runs, where that is not this host."""
    if settings.check_image is None:
        return None
    return Container(
        image=settings.check_image,
        state_dir=settings.state_dir,
        memory_bytes=settings.check_memory,
        user=settings.user,
        pull=settings.pull,
        name_prefix=settings.name_prefix,
    )
