# shellcheck shell=bash
# What start-distributed-cluster.sh and stop-distributed-cluster.sh share: where things are, and which process is whose.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HOST=${HOST:-127.0.0.1}
BASE_PORT=${BASE_PORT:-16020}
HEALTH_CHECK_BASE_PORT=${HEALTH_CHECK_BASE_PORT:-8080}
ZK_QUORUM=${ZK_QUORUM:-localhost:2181}
PID_DIR=${PID_DIR:-$ROOT/.cluster/pids}
LOG_DIR=${LOG_DIR:-$ROOT/.cluster/logs}
DATA_DIR=${DATA_DIR:-$ROOT/.cluster/data}

die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit "${2:-1}"
}

# Whole number $2 from $3 to $4, or the end with exit code 2 and the name $1.
check_number() {
  if ! [[ $2 =~ ^[0-9]{1,5}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then die "$1=$2: write a number from $3 to $4" 2; fi
}

pid_file() { printf '%s/%s.pid' "$PID_DIR" "$1"; }

# The process id of the server named $1 while it runs; nothing and 1 otherwise. A number that another process has got
# meanwhile is not taken for it: what was started here carries the path of its pid file in its environment. For a moment
# /proc tells no environment of a process that replaces its program, so it is asked again.
pid_of() {
  local file pid state tries each environment=()
  file=$(pid_file "$1")
  [[ -r $file ]] && read -r pid <"$file" && [[ $pid =~ ^[0-9]+$ ]] || return 1
  for ((tries = 0; tries < 100; tries++)); do
    state=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) || return 1
    [[ $state != Z* ]] || return 1
    # read by the shell itself: behind the start of another program the environment may be that of one replaced since
    mapfile -d '' -t environment 2>/dev/null <"/proc/$pid/environ" || return 1
    for each in "${environment[@]}"; do
      if [[ $each == "DISTRIBUTED_CLUSTER_PID_FILE=$file" ]]; then
        printf '%s' "$pid"
        return
      fi
    done
    ((${#environment[@]} == 0)) || return 1
    sleep 0.01
  done
  return 1
}
