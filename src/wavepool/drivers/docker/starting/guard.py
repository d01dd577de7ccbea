"""The process guard: a shell that runs several commands in turn, and kills in between what the last one left behind.

It kills with ``kill -9 -1``: every process that it may signal but itself and process 1. That is right in a PID
namespace of its own and nowhere else, so it first makes sure that its parent is the container's init.
"""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.parking.script import SHELL
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import DriverUnavailable, NotStarted, Unknown

GUARD_FAILED = 125
"""Exit code of the guard where it could not do its own work, as of `docker run`."""

GUARD = r"""
# $1: how many commands there are; then for each: how many words it has, and these.
total=$1; shift; number=0; stop=; child=
read -r init < /proc/1/comm
case "$PPID $init" in
  '1 docker-init'|'1 tini'|'1 catatonit'|'1 dumb-init'|'1 podman-init') ;;
  *) echo "wavepool: the guard is not in a container with an init: nothing was run" >&2; exit 125 ;;
esac
trap 'stop=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
run() {
  ( trap - TERM; exec "$@" ) & child=$!
  [ -z "$stop" ] || kill -TERM "$child" 2>/dev/null
  while :; do
    wait "$child"; code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  child=
}
clear() {
  tries=0
  while kill -9 -1 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 2000 ] || sleep 0.1
    [ "$tries" -lt 2100 ] || { echo "wavepool: what command $number left running does not end" >&2; exit 125; }
  done
}
while [ "$#" -gt 0 ]; do
  number=$((number + 1)); count=$1; shift; words=; i=1
  while [ "$i" -le "$count" ]; do words="$words \"\${$i}\""; i=$((i + 1)); done
  eval "run $words"
  shift "$count"
  if [ -n "$stop" ]; then
    echo "wavepool: command $number of $total was stopped" >&2; exit "$code"
  fi
  if [ "$code" -ne 0 ]; then
    echo "wavepool: command $number of $total failed with exit code $code" >&2; exit "$code"
  fi
  [ "$#" -eq 0 ] || clear
done
exit 0
"""


def guarded(commands: Sequence[Sequence[str]]) -> list[str]:
    """The argv that runs `commands` under the guard."""
    words = [word for command in commands for word in (str(len(command)), *command)]
    return [SHELL, "-c", GUARD, "wavepool-guard", str(len(commands)), *words]


async def check_shell(api: DockerApi, spec: AttemptSpec, container_id: str) -> None:
    """See that a created container has the shell that the guard needs.

    Raises:
        NotStarted: its image has none.
        Unknown: the engine did not answer.
    """
    if not await has_shell(api, spec, container_id):
        raise NotStarted(
            f"{spec.name}: image {spec.image} has no {SHELL}, and a task with `commands` needs one to run them in turn",
            advice="Use an image with a shell, or a single `command`.",
        )


async def has_shell(api: DockerApi, spec: AttemptSpec, container_id: str) -> bool:
    """Whether a created container has a shell where it should be. Raises Unknown: the engine did not answer."""
    try:
        async with api.stream("HEAD", f"containers/{container_id}/archive", {"path": SHELL}):
            return True
    except Refused as refused:
        if refused.status != 404:
            raise Unknown(f"{spec.name}: {refused.message}") from refused
        return False
    except DriverUnavailable as error:  # it was asked to make the container: what became of that is not known
        raise Unknown(f"{spec.name}: {error.message}", advice=error.advice) from error
