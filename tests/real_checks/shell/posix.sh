#!/bin/sh
array=(1 2 3)
echo "${array[@]}"
[[ $1 == x ]] && echo yes
read name
rm -rf "$STEAMROOT/"*
