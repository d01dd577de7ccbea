#!/usr/bin/env bash
# The seed's monitor: every interval `docker ps`, then one `docker inspect` for each container.
# Arguments: label, interval in seconds, how many exits to wait for (0: for ever).
# Prints "<id> <seconds since the epoch>" when it first sees a container exited, "poll <seconds it took>" after each.
set -euo pipefail
label=$1 interval=$2 wanted=$3
declare -A seen=()

while :; do
  began=$EPOCHREALTIME
  for container in $(docker ps -aq --no-trunc --filter "label=$label"); do
    status=$(docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$container")
    if [[ $status == exited* && -z ${seen[$container]:-} ]]; then
      seen[$container]=1
      echo "$container $EPOCHREALTIME"
    fi
  done
  echo "poll $began $EPOCHREALTIME"
  if ((wanted > 0 && ${#seen[@]} >= wanted)); then break; fi
  sleep "$interval"
done
