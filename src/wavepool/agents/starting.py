"""How an agent's program is started: its prompt on stdin, its secrets in variables, neither in any argv."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

_HOME = """\
if ! [ -w "${HOME:-/}" ]; then
  HOME=$(mktemp -d) && export HOME
fi
"""
_SECRETS = """\
for wavepool_pair in {pairs}; do
  wavepool_file="${{WAVEPOOL_SECRETS_DIR:-/run/secrets}}/${{wavepool_pair%%=*}}"
  if [ -f "$wavepool_file" ] && [ -r "$wavepool_file" ]; then
    export "${{wavepool_pair#*=}}=$(cat "$wavepool_file")"
  fi
done
unset wavepool_pair wavepool_file
"""
_EXEC = 'exec "$@" <"$TASK_PROMPT_FILE"\n'


def with_prompt(argv: Sequence[str], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """The argv that runs `argv` with the task's prompt on stdin, in the process that the driver started.

    Needs a shell where it runs. Where the home directory cannot be written to (a user that the image does not know
    has ``/``), HOME becomes a new directory.

    Args:
        argv: the agent's own program and arguments.
        secrets: name of a secret -> the variable that gets its value, without line ends at its end; it beats a
            variable that was there before. A file with that name in upper case, or with the variable's own, counts
            as well, as ``--secret ANTHROPIC_API_KEY`` makes one. Of several for one variable the first beats the rest.
    """
    files = [(file, variable) for name, variable in secrets.items() for file in (name, name.upper(), variable)]
    pairs = " ".join(shlex.quote(f"{file}={variable}") for file, variable in reversed(list(dict.fromkeys(files))))
    secret = _SECRETS.format(pairs=pairs) if secrets else ""
    return ("/bin/sh", "-c", _HOME + secret + _EXEC, argv[0], *argv)
