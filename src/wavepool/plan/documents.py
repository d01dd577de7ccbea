"""A plan's object, from JSON as the seed has it, or from YAML."""

from __future__ import annotations

import json
import re

from wavepool.errors import PlanError, Words
from wavepool.inputs.yamltext import NotYaml, YamlBounds, load_yaml
from wavepool.plan.reading import check_texts, read_document

YAML_BOUNDS = YamlBounds(bytes_max=16 << 20, nodes_max=1_000_000)
"""Reading that much takes minutes. JSON has no such bounds."""

_WAVES = re.compile(rb"^waves:[ \t]*(?:\[\])?[ \t]*\r?$", re.MULTILINE)
_NAMES = (".yaml", ".yml")
_BOM = b"\xef\xbb\xbf"


def read_plan_document(raw: bytes, source: str) -> dict[str, object]:
    """The object with a ``waves`` field that `raw` holds.

    YAML is what is named so or has a line ``waves:`` at its margin, unless it begins with a brace; a banner with such a
    line is still no YAML. All else is JSON.

    Raises:
        PlanError: as `read_document`; no YAML, or YAML that JSON could not say.
    """
    if not raw.removeprefix(_BOM).lstrip().startswith(b"{"):
        named = source.lower().endswith(_NAMES)
        if named or _WAVES.search(raw):
            try:
                return _from_yaml(raw, source)
            except NotYaml as error:
                if named:
                    raise PlanError(source, Words(error.got), error.expected) from None
    return read_document(raw, source)


def _from_yaml(raw: bytes, source: str) -> dict[str, object]:
    document = load_yaml(raw, YAML_BOUNDS)
    check_texts(document)
    try:
        plain = json.loads(json.dumps(document, allow_nan=False))  # keys as texts, and nothing shared by an alias
    except (TypeError, ValueError, RecursionError):
        expected = "texts, numbers, switches, lists and mappings alone"
        raise PlanError(source, Words("YAML that JSON could not say"), expected) from None
    if not isinstance(plain, dict) or "waves" not in plain:
        raise PlanError("waves", None, f"a list of waves in {source}")
    return plain
