"""Where settings come from: option > WAVEPOOL_* > CFN_* > wavepool.toml > default."""

from __future__ import annotations

import os
import pwd
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from wavepool.config.settings import PATHS, Settings, source_of
from wavepool.errors import InvariantBroken, SettingError, UnreadableFile, Words

FILE_NAME = "wavepool.toml"
POOLS_TABLE = "pools"
"""Its table for warm pools, which `config.pools` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A value, where it stands (as the user knows the place), and the directory that relative paths count from."""

    value: object
    where: str
    base: Path


def load_settings(options: Mapping[str, object], *, environ: Mapping[str, str], cwd: Path) -> Settings:
    """All settings, each from the first place that has it.

    Args:
        options: setting name -> value from the command line; None is not given.
        environ: the variables to look in; an empty one is not set.
        cwd: the working directory: of relative paths, and the first place of wavepool.toml.

    Raises:
        SettingError: naming the option, variable, or file and line, what stands there and what was expected.
    """
    unknown = set(options) - set(Settings.model_fields)
    if unknown:
        raise InvariantBroken(f"no such settings: {', '.join(sorted(unknown))}")
    given = _from_file(environ, cwd) | _from_environ(environ, cwd) | _from_options(options, cwd)
    if "state_dir" not in given:
        default = _user_directory(environ, "XDG_STATE_HOME", ".local/state")
        if default is None:
            raise SettingError("--state-dir", None, "a directory, as there is no home directory (HOME) to put it")
        given["state_dir"] = _Given(value=str(default), where="state_dir", base=cwd)
    home = environ.get("HOME", "")
    values = {name: _absolute(name, entry, home) if name in PATHS else entry.value for name, entry in given.items()}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _setting_error(error, given) from None


def _from_options(options: Mapping[str, object], cwd: Path) -> dict[str, _Given]:
    return {
        name: _Given(value=value, where=source_of(name).option or f"--{name.replace('_', '-')}", base=cwd)
        for name, value in options.items()
        if value is not None
    }


def _from_environ(environ: Mapping[str, str], cwd: Path) -> dict[str, _Given]:
    found: dict[str, _Given] = {}
    for name in Settings.model_fields:
        variables = (f"WAVEPOOL_{name.upper()}", source_of(name).seed, source_of(name).shared)
        variable = next((variable for variable in variables if variable and environ.get(variable)), None)
        if variable is not None:
            found[name] = _Given(value=environ[variable], where=variable, base=cwd)
    return found


def user_file(environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The wavepool.toml that holds: of the working directory, else of the user's configuration; None if none."""
    places = (cwd, _user_directory(environ, "XDG_CONFIG_HOME", ".config"))
    return next((place / FILE_NAME for place in places if place and (place / FILE_NAME).is_file()), None)


def _from_file(environ: Mapping[str, str], cwd: Path) -> dict[str, _Given]:
    path = user_file(environ, cwd)
    if path is None:
        return {}
    text = _read(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(str(path), Words(str(error)), "TOML") from None
    found: dict[str, _Given] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        where = f"{path}, line {_line_of(key, text)}, {key}"
        if name == POOLS_TABLE and isinstance(value, dict):
            continue  # `config.pools` reads it
        if name not in Settings.model_fields:
            near = get_close_matches(name, Settings.model_fields, n=1)
            advice = f"Did you mean {near[0]}?" if near else ""
            raise SettingError(where, value, "the name of a setting before the =", advice=advice)
        if name in found:
            raise SettingError(where, value, "each setting once")
        found[name] = _Given(value=value, where=where, base=path.parent)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UnreadableFile("settings", str(path), error) from None
    except UnicodeDecodeError as error:
        raise SettingError(
            str(path), Words(f"byte 0x{error.object[error.start]:02x} at {error.start}"), "UTF-8"
        ) from None


def _line_of(key: str, text: str) -> int:
    """The line that sets `key`, or opens the table of that name; 1 if it is spelled in some other way."""
    found = re.search(rf"""^[ \t]*\[*[ \t]*["']?{re.escape(key)}["']?[ \t]*[].=]""", text, re.MULTILINE)
    return 1 if found is None else text.count("\n", 0, found.start()) + 1


def _user_directory(environ: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    """A directory of the XDG base directory specification, which says to ignore relative values; None if homeless."""
    base = environ.get(variable, "")
    if os.path.isabs(base):
        return Path(base, "wavepool")
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:  # a uid without an entry, as in many containers
            return None
    return Path(home, below_home, "wavepool")


def _absolute(name: str, given: _Given, home: str) -> object:
    if not isinstance(given.value, str | Path):
        return given.value  # validation refuses it
    text = str(given.value)
    if not text or "\0" in text:
        raise SettingError(given.where, text, source_of(name).expected)
    if home and (text == "~" or text.startswith("~/")):
        text = home + text[1:]
    return _plain(given.base / text)


def _plain(path: Path) -> Path:
    """The same place without ``..``, and without the two slashes that POSIX leaves at a beginning, for messages."""
    if ".." in path.parts:
        return Path(os.path.realpath(path))  # not by the words alone: what stands before it may be a link
    return Path("/", *path.parts[1:]) if path.is_absolute() else path


def _setting_error(error: ValidationError, given: Mapping[str, _Given]) -> SettingError:
    name = str(error.errors()[0]["loc"][0])
    entry = given[name]
    return SettingError(entry.where, entry.value, source_of(name).expected)
