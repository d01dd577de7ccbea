#!/bin/sh
if [ "$1" = x ]; then
  echo "half
fi
