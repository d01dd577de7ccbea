"""Variables in a Compose file: ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``${NAME-default}``, ``${NAME:?words}``.

Pure. Values are put into texts after the file was read, so that none of them can change the file's shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wavepool.errors import PlanError

_USE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:?[-?+])(?P<words>[^}]*))?\}|(?P<wrong>))",
    re.ASCII,
)


def interpolated(value: object, environ: Mapping[str, str], path: str) -> object:
    """`value` with the variables in all its texts replaced; keys of objects are left as they are.

    Raises:
        PlanError: a variable that must be set is not, or a ``$`` that begins none.
    """
    if isinstance(value, str):
        return _USE.sub(lambda match: _replacement(match, environ, path), value) if "$" in value else value
    if isinstance(value, dict):
        return {
            key: interpolated(member, environ, f"{path}.{key}" if path else str(key)) for key, member in value.items()
        }
    if isinstance(value, list):
        return [interpolated(member, environ, f"{path}[{index}]") for index, member in enumerate(value)]
    return value


def _replacement(match: re.Match[str], environ: Mapping[str, str], path: str) -> str:
    if match["escaped"]:
        return "$"
    if match["wrong"] is not None:
        raise PlanError(path, match.string, "a variable as $NAME or ${NAME}, or $$ for a dollar sign")
    found = environ.get(match["plain"] or match["name"])
    how, words = match["how"] or "", match["words"] or ""
    is_set = found is not None and (found != "" or not how.startswith(":"))
    if how.endswith("+"):
        return words if is_set else ""
    if is_set and found is not None:
        return found
    if how.endswith("-"):
        return words
    reason = f" ({words})" if words else ""
    raise PlanError(path, match[0], f"the variable {match['plain'] or match['name']} to be set{reason}")
