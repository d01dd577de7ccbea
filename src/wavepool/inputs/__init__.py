"""Values that users type, checked before anything starts: variables, mounts, secrets, names.

Every function raises `SettingError` naming the option, what was given and what would be right. The rules about names
are pure; those about host paths look at the file system.
"""

from wavepool.inputs.environment import parse_env_file, parse_environment, variable_problem
from wavepool.inputs.hostpaths import check_workspace, parse_mount, parse_mounts
from wavepool.inputs.names import (
    LATEST,
    NamePattern,
    image_problem,
    network_problem,
    parse_new_run_id,
    parse_pattern,
    parse_run_id,
    parse_timeout,
)
from wavepool.inputs.secrets import parse_secret, parse_secrets, read_secret

__all__ = [
    "LATEST",
    "NamePattern",
    "check_workspace",
    "image_problem",
    "network_problem",
    "parse_env_file",
    "parse_environment",
    "parse_mount",
    "parse_mounts",
    "parse_new_run_id",
    "parse_pattern",
    "parse_run_id",
    "parse_secret",
    "parse_secrets",
    "parse_timeout",
    "read_secret",
    "variable_problem",
]
