"""Where settings of warm pools come from: options > a file that was named > the table [pools] of wavepool.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from wavepool.config.loading import POOLS_TABLE, user_file
from wavepool.errors import SettingError, UnreadableFile, Words
from wavepool.inputs.pools import parse_pools
from wavepool.inputs.yamltext import NotYaml, load_yaml
from wavepool.model import PoolsConfig


def load_pools(
    options: Mapping[str, object],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    file: Path | str | None = None,
    image: str | None = None,
) -> PoolsConfig:
    """All pools, as they were described.

    Args:
        options: setting name -> value from the command line; None is not given.
        environ: the variables that say where the user's wavepool.toml is.
        cwd: the working directory: of relative paths, and the first place of wavepool.toml.
        file: YAML, JSON or (by its name's end) TOML; with it wavepool.toml says nothing of pools.
        image: of types whose image nobody named; None: the preset's.

    Raises:
        SettingError: naming the option, or the file and the place in it, what stands there and what was expected.
    """
    path = Path(cwd, file) if file is not None else user_file(environ, cwd)
    document = {} if path is None else _document(path, wanted=file is not None)
    base = cwd if path is None else path.parent
    given = {name: _absolute(value, cwd) if name == "workspace" else value for name, value in options.items()}
    source = "" if path is None else str(path)
    return parse_pools(_with_paths(document, base), source=source, overrides=given, image=image)


def _document(path: Path, *, wanted: bool) -> Mapping[str, object]:
    """The settings in this file: all of a file that was named for it, the table of wavepool.toml."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableFile("settings of pools", str(path), error) from None
    document = _toml(raw, path) if path.suffix == ".toml" else _yaml(raw, path)
    if not wanted:
        document = document.get(POOLS_TABLE, {}) if isinstance(document, dict) else document
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingError(str(path), document, "settings of pools by name")
    return document


def _yaml(raw: bytes, path: Path) -> object:
    try:
        return load_yaml(raw)
    except NotYaml as error:
        raise SettingError(str(path), Words(error.got), error.expected) from None


def _toml(raw: bytes, path: Path) -> object:
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(str(path), Words(str(error)), "TOML") from None


def _with_paths(document: Mapping[str, object], base: Path) -> dict[str, object]:
    """The same, with each `workspace` counted from `base`."""
    found: dict[str, object] = {}
    for name, value in document.items():
        if isinstance(value, dict) and name != "environment":
            found[name] = _with_paths(value, base)
        else:
            found[name] = _absolute(value, base) if name == "workspace" else value
    return found


def _absolute(value: object, base: Path) -> object:
    return str(base / value) if isinstance(value, str | Path) and str(value) else value
