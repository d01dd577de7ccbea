"""How an agent's program is started: its prompt on stdin, its secrets in variables, neither in any argv."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

_SCRIPT = """\
for wavepool_pair in {pairs}; do
  for wavepool_name in "${{wavepool_pair%%=*}}" "${{wavepool_pair#*=}}"; do
    wavepool_file="${{WAVEPOOL_SECRETS_DIR:-/run/secrets}}/$wavepool_name"
    if [ -f "$wavepool_file" ] && [ -r "$wavepool_file" ]; then
      export "${{wavepool_pair#*=}}=$(cat "$wavepool_file")"
      break
    fi
  done
done
unset wavepool_pair wavepool_name wavepool_file
"""
_EXEC = 'exec "$@" <"$TASK_PROMPT_FILE"\n'


def with_prompt(argv: Sequence[str], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """The argv that runs `argv` with the task's prompt on stdin, in the process that the driver started.

    Args:
        argv: the agent's own program and arguments.
        secrets: name of a secret -> the variable that gets its value, without line ends at its end. A file that has
            the variable's own name counts as well, as ``--secret ANTHROPIC_API_KEY`` makes one. It beats a variable
            that was there before.
    """
    pairs = " ".join(shlex.quote(f"{name}={variable}") for name, variable in secrets.items())
    script = _SCRIPT.format(pairs=pairs) + _EXEC if secrets else _EXEC
    return ("/bin/sh", "-c", script, argv[0], *argv)
