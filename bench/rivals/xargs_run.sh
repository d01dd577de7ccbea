#!/usr/bin/env bash
# The same, five at a time.
# Arguments: image, memory, workspace, label, count. Prints the ids.
set -euo pipefail
image=$1 memory=$2 workspace=$3 label=$4 count=$5

seq "$count" | xargs -P5 -I{} \
  docker run -d --memory "$memory" --memory-reservation "$memory" --network bridge --label "$label" \
  -v "$workspace:/workspace:rw" -e BATCH_ID="batch-{}" -e TASK_ID="batch-{}" \
  -e TASK_PROMPT="Fix errors in assigned files" "$image" sleep 3600
