#!/usr/bin/env bash
# The seed's spawn: one `docker run -d` after the other.
# Arguments: image, memory, workspace, label, count. Prints the ids.
set -euo pipefail
image=$1 memory=$2 workspace=$3 label=$4 count=$5

for ((n = 0; n < count; n++)); do
  docker run -d --memory "$memory" --memory-reservation "$memory" --network bridge --label "$label" \
    -v "$workspace:/workspace:rw" -e BATCH_ID="batch-$n" -e TASK_ID="batch-$n" \
    -e TASK_PROMPT="Fix errors in assigned files" "$image" sleep 3600
done
