#!/usr/bin/env bash
# `docker run -d` for many containers, five at a time.
# Arguments: image, memory, workspace, label, count, confinement: `seed` for the seed's own options, `same` for all that
# our containers get too (init, no capabilities, no new privileges, swap, a capped log, the prompt's mount).
# Prints the ids.
set -euo pipefail
image=$1 memory=$2 workspace=$3 label=$4 count=$5 confinement=$6

options=(--memory "$memory" --memory-reservation "$memory" --network bridge --label "$label"
  -v "$workspace:/workspace:rw" -e TASK_PROMPT="Fix errors in assigned files")
if [[ $confinement == same ]]; then
  options+=(--memory-swap "$memory" --init --cap-drop ALL --security-opt no-new-privileges --workdir /workspace
    --user "$(stat -c %u:%g "$workspace")" --log-driver local --log-opt max-size=16m --log-opt max-file=2
    -v "$workspace:/run/wavepool:ro" --no-healthcheck)
fi

seq "$count" | xargs -P5 -I{} docker run -d "${options[@]}" -e BATCH_ID="batch-{}" -e TASK_ID="batch-{}" \
  "$image" sleep 3600
