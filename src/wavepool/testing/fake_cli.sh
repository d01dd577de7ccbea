#!/bin/sh
# Stands in for the Claude and the Codex CLI where a test needs output that those write seldom or never. It is told what
# to do by lines of its prompt (stdin) that begin with "fake: "; see fake_cli.py. Needs sh, sed, awk and cat only.

dialect=claude
case ${0##*/} in codex*) dialect=codex ;; esac
format=stream-json
max_turns=0
for argument in "$@"; do
  case $argument in
    --output-format=*) format=${argument#*=} ;;
    --max-turns=*) max_turns=${argument#*=} ;;
    exec) dialect=codex ;;
  esac
done
if [ -n "${FAKE_CLI_CALLS-}" ]; then printf '%s\n' "$*" >>"$FAKE_CLI_CALLS"; fi

session=fake-session
model=fake-model
turn=0
cost=0
price=0.01
input=100
output=10
total_input=0
total_output=0
last_text=
exit_code=0
collected=
child=

interrupted() {
  started=${child:-$!} # the signal may come before the child is noted, or has become its program
  if [ -n "$started" ]; then kill -9 "$started" 2>/dev/null; fi
  exit "$1"
}
trap 'interrupted 0' INT
trap 'interrupted 143' TERM

escaped() {
  printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'
}

emit() {
  if [ "$format" = json ]; then
    collected="$collected${collected:+,}$1"
  else
    printf '%s\n' "$1"
  fi
}

usage() {
  printf '{"input_tokens":%s,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":%s}' "$1" "$2"
}

# part JSON: one line of the current message
part() {
  emit '{"type":"assistant","message":{"id":"msg_'"$turn"'","type":"message","role":"assistant","model":"'"$model"'","content":['"$1"'],"stop_reason":null,"usage":'"$(usage "$input" 1)"'},"parent_tool_use_id":null,"session_id":"'"$session"'"}'
}

next_turn() {
  if [ "$max_turns" -gt 0 ] && [ "$turn" -ge "$max_turns" ]; then
    turn=$((turn + 1))
    result error_max_turns true "\"errors\":[\"Reached maximum number of turns ($max_turns)\"]"
    finish 1
  fi
  turn=$((turn + 1))
  total_input=$((total_input + input))
  total_output=$((total_output + output))
  cost=$(awk "BEGIN { print $cost + $price }")
}

say() {
  last_text=$1
  if [ "$dialect" = codex ]; then
    emit '{"type":"item.completed","item":{"id":"item_'"$turn"'","type":"agent_message","text":"'"$(escaped "$1")"'"}}'
  else
    part '{"type":"text","text":"'"$(escaped "$1")"'"}'
  fi
}

# tool NAME COMMAND OUTPUT
tool() {
  if [ "$dialect" = codex ]; then
    emit '{"type":"item.completed","item":{"id":"item_'"$turn"'t","type":"command_execution","command":"'"$(escaped "$2")"'","aggregated_output":"'"$(escaped "$3")"'","exit_code":0,"status":"completed"}}'
    return
  fi
  part '{"type":"tool_use","id":"tool_'"$turn"'","name":"'"$1"'","input":{"command":"'"$(escaped "$2")"'"}}'
  emit '{"type":"user","message":{"role":"user","content":[{"tool_use_id":"tool_'"$turn"'","type":"tool_result","content":"'"$(escaped "$3")"'","is_error":false}]},"parent_tool_use_id":null,"session_id":"'"$session"'"}'
}

# result SUBTYPE IS_ERROR FIELDS
result() {
  if [ "$dialect" = codex ]; then
    if [ "$2" = true ]; then
      emit '{"type":"turn.failed","error":{"message":"'"$(escaped "$last_text")"'"}}'
    else
      emit '{"type":"turn.completed","usage":{"input_tokens":'"$total_input"',"cached_input_tokens":0,"output_tokens":'"$total_output"'}}'
    fi
    return
  fi
  emit '{"type":"result","subtype":"'"$1"'","is_error":'"$2"',"num_turns":'"$turn"',"session_id":"'"$session"'","total_cost_usd":'"$cost"',"usage":'"$(usage "$total_input" "$total_output")"',"stop_reason":"end_turn",'"$3"'}'
}

# api_error STATUS KIND TEXT: as the CLI tells of it, with the subtype "success"
api_error() {
  last_text=$3
  if [ "$dialect" = codex ]; then
    emit '{"type":"error","message":"'"$(escaped "$3")"'"}'
    result failed true ''
  else
    emit '{"type":"assistant","message":{"id":"synthetic","model":"<synthetic>","role":"assistant","content":[{"type":"text","text":"'"$(escaped "$3")"'"}],"usage":'"$(usage 0 0)"'},"parent_tool_use_id":null,"session_id":"'"$session"'","error":"'"$2"'"}'
    result success true '"api_error_status":'"$1"',"result":"'"$(escaped "$3")"'"'
  fi
  finish 1
}

finish() {
  if [ "$format" = json ]; then printf '[%s]\n' "$collected"; fi
  exit "$1"
}

# wait for a command in the background, so that a signal is answered at once
waiting() {
  "$@" &
  child=$!
  wait "$child"
  child=
}

retry() {
  if [ "$dialect" = codex ]; then
    emit '{"type":"error","message":"Reconnecting... 1/5 ('"$2"', status '"$1"')"}'
  else
    emit '{"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,"retry_delay_ms":'"$3"',"error_status":'"$1"',"error":"'"$2"'","session_id":"'"$session"'"}'
  fi
}

limit() {
  if [ "$1" != - ] && [ "$dialect" = claude ]; then
    emit '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":'"$1"',"rateLimitType":"five_hour","isUsingOverage":false},"session_id":"'"$session"'"}'
  fi
  api_error 429 rate_limit "You've hit your usage limit"
}

flood() {
  awk -v lines="$1" 'BEGIN { for (n = 0; n < lines; n++) print "{\"type\":\"stream_event\",\"n\":" n "}" }'
}

big() {
  awk -v bytes="$1" 'BEGIN {
    printf "{\"type\":\"user\",\"message\":\""
    piece = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    for (n = 0; n < bytes; n += 64) printf "%s", piece
    print "\"}"
  }'
}

act() {
  verb=${1%% *}
  rest=
  case $1 in *' '*) rest=${1#* } ;; esac
  first=${rest%% *}
  others=
  case $rest in *' '*) others=${rest#* } ;; esac
  case $verb in
    say) next_turn; say "$rest" ;;
    write) next_turn; say "I write $first."; printf '%s\n' "$others" >"$first"; tool Write "$first" "$others" ;;
    run) next_turn; say "I run a command."; tool Bash "$rest" "$(sh -c "$rest" 2>&1 </dev/null)" ;;
    usage) input=$first; output=$others ;;
    price) price=$first ;;
    sleep) waiting sleep "$first" ;;
    retry) retry "$first" ${others:-overloaded 500} ;;
    limit) limit "${first:--}" ;;
    error) api_error "$first" "${others%% *}" "${others#* }" ;;
    result) result "$first" true '"errors":["'"$(escaped "${others:-it broke}")"'"]'; finish 1 ;;
    stderr) printf '%s\n' "$rest" >&2 ;;
    garbage) printf 'no json\n\377\376\n{"type":"assist\n[1,2]\n\n' ;;
    flood) flood "$first" ;;
    big) big "$first" ;;
    cut) printf '{"type":"result","subtype":"success","is_er'; exit 0 ;;
    no-result) exit "${first:-0}" ;;
    hang) while :; do waiting sleep 3600; done ;;
    exit) exit_code=$first ;;
    *) printf 'fake_cli: no such thing to do: %s\n' "$1" >&2; exit 64 ;;
  esac
}

if [ "$dialect" = codex ]; then
  emit '{"type":"thread.started","thread_id":"'"$session"'"}'
  emit '{"type":"turn.started"}'
else
  emit '{"type":"system","subtype":"init","session_id":"'"$session"'","model":"'"$model"'","permissionMode":"bypassPermissions"}'
fi

told=no
while IFS= read -r line || [ -n "$line" ]; do
  case $line in
    'fake: '*) told=yes; act "${line#fake: }" ;;
    ?*) asked=${asked-$line} ;;
  esac
done
if [ "$told" = no ]; then
  if [ -z "${asked-}" ]; then
    printf 'Error: Input must be provided either through stdin or as a prompt argument when using --print\n' >&2
    exit 1
  fi
  act "write answer.txt $asked"
  act 'say All done.'
fi
result success false '"result":"'"$(escaped "$last_text")"'"'
finish "$exit_code"
