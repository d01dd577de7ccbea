"""What a run of a SARIF log says of all its results: its tool, its rules, and where its paths begin. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from pydantic import ValidationError
from sarif_pydantic import Artifact, ArtifactLocation

from wavepool.plan.diagnostics.sarif_walk import Part

RULES_MAX: Final = 20_000
ARTIFACTS_MAX: Final = 100_000
"""So many rules and files of a run are kept."""

_TEXT_MAX = 1000
_CHAIN_MAX = 8
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_DRIVE = re.compile(r"/[A-Za-z]:[/\\]")
_PLACEHOLDER = re.compile(r"\{(\d{1,3})\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a rule says where a result of it does not.

    Attributes:
        id: its name; None where it has none.
        level: of its results; None where it says nothing of it.
        messages: its messages by their ids.
    """

    id: str | None
    level: str | None
    messages: Mapping[str, str] = field(default_factory=dict)

    def message(self, message_id: str | None, arguments: Sequence[str]) -> str | None:
        """The message of that id, with the arguments in their places; None where it has none of that id."""
        text = self.messages.get(message_id or "")
        if text is None:
            return None
        return _PLACEHOLDER.sub(lambda place: _nth(arguments, int(place[1])) or place[0], text)


class SarifRun:
    """Learns of a run, in whatever order it tells."""

    def __init__(self) -> None:
        self.name: str | None = None
        """Of its tool; None until it says."""
        self._rules: list[Rule] = []
        self._by_id: dict[str, Rule] = {}
        self._bases: dict[str, ArtifactLocation] = {}
        self._files: list[ArtifactLocation | None] = []

    def learn(self, part: Part, value: object) -> None:
        """Takes in a part; what is not as it should be teaches nothing."""
        if part is Part.TOOL_NAME:
            self.name = value if isinstance(value, str) and value else self.name
        elif part is Part.RULE and len(self._rules) < RULES_MAX:
            rule = _rule(value)
            self._rules.append(rule)
            if rule.id is not None:
                self._by_id.setdefault(rule.id, rule)
        elif part is Part.BASES and isinstance(value, dict):
            for name, location in value.items():
                if (base := _location(location)) is not None:
                    self._bases[name] = base
        elif part is Part.ARTIFACT and len(self._files) < ARTIFACTS_MAX:
            self._files.append(_file(value))

    def rule(self, index: int | None, rule_id: str | None) -> Rule | None:
        """The rule of that place in the list, or of that id, or of what a hierarchical id begins with."""
        if index is not None and 0 <= index < len(self._rules):
            return self._rules[index]
        while rule_id:
            if rule_id in self._by_id:
                return self._by_id[rule_id]
            rule_id = rule_id.rpartition("/")[0]
        return None

    def path(self, location: ArtifactLocation | None) -> str | None:
        """The file of a location: absolute where its base is known; else as it is written, but for the escapes."""
        if location is not None and location.uri is None and location.index is not None:
            location = self._files[location.index] if 0 <= location.index < len(self._files) else None
        if location is None or not location.uri:
            return None
        uri, base = location.uri, location.uri_base_id
        for _ in range(_CHAIN_MAX):
            if base is None or base not in self._bases or _SCHEME.match(uri):
                break
            beginning = self._bases[base]
            uri, base = _joined(beginning.uri or "", uri), beginning.uri_base_id
        return path_of(uri)


def path_of(uri: str) -> str:
    """The path of a ``file:`` URI or of a relative one, without escapes; any other URI as it is."""
    if uri[:5].lower() == "file:":
        path = uri[5:]
        if path.startswith("//"):
            host, slash, rest = path[2:].partition("/")
            path = f"{slash}{rest}" if host in ("", "localhost") else f"//{host}{slash}{rest}"
        path = unquote(path)
        return path[1:] if _DRIVE.match(path) else path
    return uri if _SCHEME.match(uri) else unquote(uri)


def _joined(base: str, uri: str) -> str:
    if not base or uri.startswith(("/", "\\")):
        return uri
    return f"{base}{uri}" if base.endswith("/") else f"{base}/{uri}"


def _rule(value: object) -> Rule:
    fields = value if isinstance(value, dict) else {}
    configuration = fields.get("defaultConfiguration")
    strings = fields.get("messageStrings")
    return Rule(
        id=_text(fields.get("id")),
        level=_text(configuration.get("level")) if isinstance(configuration, dict) else None,
        messages={
            name: text
            for name, message in (strings.items() if isinstance(strings, dict) else ())
            if isinstance(message, dict) and (text := _text(message.get("text")))
        },
    )


def _file(value: object) -> ArtifactLocation | None:
    try:
        return Artifact.model_validate(value).location
    except ValidationError:
        return None


def _location(value: object) -> ArtifactLocation | None:
    try:
        return ArtifactLocation.model_validate(value)
    except ValidationError:
        return None


def _text(value: object) -> str | None:
    return value[:_TEXT_MAX] if isinstance(value, str) and value else None


def _nth(values: Sequence[str], place: int) -> str | None:
    return values[place] if place < len(values) else None
