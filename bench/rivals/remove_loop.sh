#!/usr/bin/env bash
# The seed's cleanup: find the containers, then one `docker rm` after the other.
# Argument: label.
set -euo pipefail

docker ps -aq --no-trunc --filter "label=$1" | while read -r container; do
  docker rm -v "$container"
done
