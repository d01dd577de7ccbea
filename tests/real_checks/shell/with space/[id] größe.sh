#!/bin/bash
# In never.sh line 1: a comment, no fault
for file in $(ls *.txt); do
  cp $file backup/$file
done
if [ $1 == "one" ]; then
  echo "unquoted: $@"
fi
local unused=1
cd /tmp
echo `date`
source ./not-there.sh
