"""The options of verbs as data, so that the page asks for what the command line takes, in its words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import typer.main

from wavepool.cli import app_of
from wavepool.cli.option_panels import panel_of, place_of
from wavepool.config import Settings
from wavepool.config.settings import Source
from wavepool.monitoring.documents.forms import Forms, OptionForm, VerbForm

VERBS: Mapping[str, Mapping[str, str]] = {
    "run": {"timeout": "monitor_timeout"},
    "task": {"image": "agent_image", "timeout": "agent_timeout", "network": "agent_network"},
    "tasks": {"image": "agent_image", "timeout": "agent_timeout", "network": "agent_network"},
    "recover": {"grace": ""},
    "prune": {},
}
"""Verbs that have a form -> options of theirs that stand for a setting of another name."""

TERMINAL = frozenset(
    {
        *("as_json", "dashboard", "detach", "dry_run", "json_lines", "learn", "output", "prompt_file", "resume"),
        *("state_dir", "verbose"),
    }
)
"""Options about a terminal, or that the page decides."""


def forms() -> Forms:
    """Of all verbs that have one. Brings these verbs in, which takes a while."""
    # An app of several verbs is a group, which the type that Typer promises does not say.
    commands: Mapping[str, Any] = typer.main.get_command(app_of(VERBS)).commands  # type: ignore[attr-defined]
    return Forms(verbs={verb: _form(commands[verb], settings) for verb, settings in VERBS.items()})


def _form(command: Any, settings: Mapping[str, str]) -> VerbForm:
    offered = (each for each in command.params if isinstance(each, typer.core.TyperOption))
    options = [_option(each, settings) for each in offered if each.name not in TERMINAL and not each.hidden]
    return VerbForm(
        about=command.short_help or "", options=sorted(options, key=lambda option: place_of(option["group"]))
    )


def _option(option: Any, settings: Mapping[str, str]) -> OptionForm:
    told = OptionForm(
        name=option.name,
        option=option.opts[-1],
        help=option.help or "",
        kind="flag" if option.is_flag else "list" if option.multiple else "text",
        group=panel_of(option.name),
    )
    setting = Settings.model_fields.get(settings.get(option.name, option.name))
    if setting is None or option.is_flag:
        return told
    source = next((each for each in setting.metadata if isinstance(each, Source)), None)
    if source is not None:
        told["expected"] = source.expected
    choices = _choices(setting.annotation)
    if choices:
        told["choices"] = choices
    return told


def _choices(annotation: Any) -> list[str]:
    """The words that are right where there are only some."""
    if get_origin(annotation) is Literal:
        return [str(each) for each in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(each.value) for each in annotation]
    some = [each for each in get_args(annotation) if each is not NoneType]
    return _choices(some[0]) if len(some) == 1 and get_origin(annotation) is not tuple else []
