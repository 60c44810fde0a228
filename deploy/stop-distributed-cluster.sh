#!/usr/bin/env bash
set -euo pipefail
# shellcheck source=deploy/distributed-cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/distributed-cluster.bash"

usage() {
  cat <<'TEXT'
usage: deploy/stop-distributed-cluster.sh

Stops what deploy/start-distributed-cluster.sh has started: masters, then region servers, then the coordinator. SIGTERM
first, so that calls in progress end; who has not ended after STOP_TIMEOUT_S gets SIGKILL. The data stays in DATA_DIR, and
the next start goes on with it. A ZooKeeper that was there before stays.

One region server alone, whose regions others open then:
  SERVER_ID=4 deploy/stop-distributed-cluster.sh

environment:
  PID_DIR          .cluster/pids of this checkout, as at the start
  SERVER_ID        none   stop this region server alone
  STOP_TIMEOUT_S   30     how long each may take to end

exit codes: 0 nothing of it runs, 2 a wrong value.
TEXT
}

case ${1:-} in
  -h | --help) usage && exit 0 ;;
  '') ;;
  *) die "$1 is not known; --help tells what is" 2 ;;
esac
STOP_TIMEOUT_S=${STOP_TIMEOUT_S:-30}
check_number STOP_TIMEOUT_S "$STOP_TIMEOUT_S" 0 86400
if [[ -n ${SERVER_ID:-} ]]; then
  check_number SERVER_ID "$SERVER_ID" 1 9999
  SERVER_ID=$((10#$SERVER_ID))
fi
[[ -d $PID_DIR ]] || { echo "nothing runs: there is no $PID_DIR" && exit 0; }
PID_DIR=$(cd "$PID_DIR" && pwd)
exec 9>"$PID_DIR/.lock"
flock -n 9 || die "another start or stop works on $PID_DIR"

# Names of servers whose pid files match the pattern $1.
named() {
  local file
  for file in "$PID_DIR"/$1.pid; do
    [[ -e $file ]] && basename "$file" .pid
  done
  return 0
}

# SIGTERM to each of the names, then wait for them together, then SIGKILL to who is left.
stop() {
  local name pid deadline=$((SECONDS + STOP_TIMEOUT_S))
  for name in "$@"; do
    # SIGCONT: one that was stopped ends too
    if pid=$(pid_of "$name"); then kill -TERM "$pid" 2>/dev/null && kill -CONT "$pid" 2>/dev/null; fi || true
  done
  for name in "$@"; do
    if ! pid=$(pid_of "$name"); then
      echo "$name has ended"
    else
      while pid_of "$name" >/dev/null && ((SECONDS < deadline)); do sleep 0.05; done
      if pid_of "$name" >/dev/null; then
        echo "$name (pid $pid) did not end within $STOP_TIMEOUT_S s: killed"
        kill_all_of "$pid"
        while pid_of "$name" >/dev/null; do sleep 0.02; done
      else
        echo "$name has ended"
      fi
    fi
    rm -f "$(pid_file "$name")"
  done
}

# The guard $1 and the worker that it watches.
kill_all_of() {
  local workers
  workers=$(cat "/proc/$1/task/$1/children" 2>/dev/null || true)
  # shellcheck disable=SC2086 # several words
  kill -KILL "$1" $workers 2>/dev/null || true
}

if [[ -n ${SERVER_ID:-} ]]; then
  [[ -e $(pid_file "regionserver-$SERVER_ID") ]] || { echo "regionserver-$SERVER_ID does not run" && exit 0; }
  stop "regionserver-$SERVER_ID"
  exit 0
fi
for stage in 'master-*' 'regionserver-*' 'coordinator'; do
  mapfile -t names < <(named "$stage")
  ((${#names[@]} == 0)) || stop "${names[@]}"
done
rm -f "$PID_DIR/.lock"
