#!/usr/bin/env bash
set -euo pipefail
# shellcheck source=deploy/distributed-cluster.bash
source "$(dirname "${BASH_SOURCE[0]}")/distributed-cluster.bash"

usage() {
  cat <<'TEXT'
usage: deploy/start-distributed-cluster.sh [N]

Starts N region servers (3) and two masters on this machine, each in a process of its own under a guard, and a
coordinator where nothing answers at ZK_QUORUM. Returns when tables can be created. What runs already is left alone, so
after a server has died the same command starts it again. deploy/stop-distributed-cluster.sh stops them.

  region servers   HOST:BASE_PORT + 0, 1, 2, ...   pages and /health: HEALTH_CHECK_BASE_PORT + 0, 1, 2, ...
  masters          HOST:16000 and 16100            pages: 16010 and 16110

One region server more, in a cluster that runs:
  SERVER_ID=4 BIND_PORT=16023 HEALTH_PORT=8083 deploy/start-distributed-cluster.sh

environment:
  BASE_PORT               16020      port of region server 1; they are counted up from there
  HEALTH_CHECK_BASE_PORT  8080       port of its pages and probes
  ZK_QUORUM               localhost:2181   HOST:PORT[,HOST:PORT...][/znode]. ZooKeeper is used where it answers there;
                                     where none does, a coordinator is started there, if that is this machine
  PID_DIR, LOG_DIR        .cluster/pids and .cluster/logs of this checkout. NAME.pid; NAME.log has the log, NAME.out the
                                     ready line
  DATA_DIR                .cluster/data   rows of all tables, the cluster's id, the coordinator's tree
  SERVER_ID               none       start this region server alone (1, 2, ...). BIND_PORT and HEALTH_PORT are its
                                     ports, counted up from the base ports where they are not given
  HOST                    127.0.0.1  address to listen at; 0.0.0.0 for other machines, with
  ADVERTISE_HOST          none       the name by which clients reach this machine
  START_TIMEOUT_S         60         how long to wait for each server to be ready
  HBEACON                 none       the hbeacon command; otherwise .venv of this checkout, which is made if need be
  ZOOKEEPER_SESSION_TIMEOUT  10000   a server that is dead or cut off is missed after this long, in milliseconds
Every setting of docs/configuration.md may be given as a variable too (hbase.wal.hsync is HBASE_WAL_HSYNC).

exit codes: 0 all runs, 1 a server did not get ready (its log is shown), 2 a wrong value.
TEXT
}

MASTER_PORTS=(16000 16100)
MASTER_PAGES=(16010 16110)
SERVERS_MAX=64

case ${1:-} in
  -h | --help) usage && exit 0 ;;
  -*) die "$1 is not known; --help tells what is" 2 ;;
esac
(($# <= 1)) || die "one number, or none; --help tells more" 2
count=${1:-3}
check_number N "$count" 1 "$SERVERS_MAX"
count=$((10#$count))
check_number BASE_PORT "$BASE_PORT" 1 "$((65535 - SERVERS_MAX))"
check_number HEALTH_CHECK_BASE_PORT "$HEALTH_CHECK_BASE_PORT" 1 "$((65535 - SERVERS_MAX))"
START_TIMEOUT_S=${START_TIMEOUT_S:-60}
check_number START_TIMEOUT_S "$START_TIMEOUT_S" 1 86400
[[ -n $ZK_QUORUM ]] || die "ZK_QUORUM is empty: write HOST:PORT, such as localhost:2181" 2
if [[ -n ${SERVER_ID:-} ]]; then
  check_number SERVER_ID "$SERVER_ID" 1 9999
  SERVER_ID=$((10#$SERVER_ID))
  BIND_PORT=${BIND_PORT:-$((BASE_PORT + SERVER_ID - 1))}
  HEALTH_PORT=${HEALTH_PORT:-$((HEALTH_CHECK_BASE_PORT + SERVER_ID - 1))}
  check_number BIND_PORT "$BIND_PORT" 1 65535
  check_number HEALTH_PORT "$HEALTH_PORT" 1 65535
elif [[ -n ${BIND_PORT:-}${HEALTH_PORT:-} ]]; then
  die "BIND_PORT and HEALTH_PORT are those of one server: give its SERVER_ID too" 2
fi

export ZOOKEEPER_SESSION_TIMEOUT=${ZOOKEEPER_SESSION_TIMEOUT:-10000}
reached_at=${ADVERTISE_HOST:-$HOST}
masters=$reached_at:${MASTER_PORTS[0]},$reached_at:${MASTER_PORTS[1]}
export HBEACON_REGISTRY_SERVERS=${HBEACON_REGISTRY_SERVERS:-$masters}
# all servers are hbeacon's: clients are given region servers too, and outlive the masters
export HBEACON_REGISTRY_HANDOUT=${HBEACON_REGISTRY_HANDOUT:-cluster}
mkdir -p "$PID_DIR" "$LOG_DIR" "$DATA_DIR"
PID_DIR=$(cd "$PID_DIR" && pwd) LOG_DIR=$(cd "$LOG_DIR" && pwd) DATA_DIR=$(cd "$DATA_DIR" && pwd)
exec 9>"$PID_DIR/.lock"
flock -n 9 || die "another start or stop works on $PID_DIR"

# The command of this checkout. It is installed into .venv where neither that nor another is there.
find_hbeacon() {
  if [[ -z ${HBEACON:-} ]]; then
    if [[ -x $ROOT/.venv/bin/hbeacon ]]; then
      HBEACON=$ROOT/.venv/bin/hbeacon
    elif HBEACON=$(command -v hbeacon); then
      :
    else
      echo "installing hbeacon into $ROOT/.venv"
      python3 -m venv "$ROOT/.venv" || die "python3 -m venv does not work: install Debian's python3-venv"
      "$ROOT/.venv/bin/python" -m pip install -q --disable-pip-version-check -e "$ROOT"
      HBEACON=$ROOT/.venv/bin/hbeacon
    fi
  fi
  "$HBEACON" version >/dev/null || die "$HBEACON does not run"
}

started=()

# start NAME WORD...: `hbeacon WORD...` as the server NAME, unless it runs.
start() {
  local name=$1 pid file
  shift
  if pid=$(pid_of "$name"); then
    echo "$name runs already, pid $pid"
    return
  fi
  file=$(pid_file "$name")
  : >"$LOG_DIR/$name.out"
  # 9 is the lock: no server may hold it
  DISTRIBUTED_CLUSTER_PID_FILE=$file setsid "$HBEACON" "$@" \
    </dev/null >"$LOG_DIR/$name.out" 2>>"$LOG_DIR/$name.log" 9>&- &
  pid=$!
  echo "$pid" >"$file"
  # until it is more than a copy of this script
  until pid_of "$name" >/dev/null || ! kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
  started+=("$name")
}

# Until every server that was started has told that it is ready.
wait_ready() {
  local name pid deadline=$((SECONDS + START_TIMEOUT_S))
  for name in "${started[@]}"; do
    until grep -q ' ready ' "$LOG_DIR/$name.out"; do
      pid=$(pid_of "$name") || not_ready "$name" "has ended"
      ((SECONDS < deadline)) || not_ready "$name" "(pid $pid) is not ready after $START_TIMEOUT_S s; it is left running"
      sleep 0.05
    done
    echo "$name runs as pid $(pid_of "$name"):$(sed -n 's/.* ready\( .*\)/\1/p' "$LOG_DIR/$name.out")"
  done
  started=()
}

not_ready() {
  tail -n 20 "$LOG_DIR/$1.log" >&2
  die "$1 $2; $LOG_DIR/$1.log has more"
}

answers() {
  local host=${1%:*} port=${1##*:}
  host=${host#[} host=${host%]}
  # shellcheck disable=SC2016 # the inner shell expands them
  timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$host" "$port" 2>/dev/null
}

is_of_this_machine() {
  case ${1%:*} in
    localhost | 127.* | '[::1]' | "$HOST" | "$(hostname)") true ;;
    *) false ;;
  esac
}

start_coordination() {
  local servers=${ZK_QUORUM%%/*} server pid
  if pid=$(pid_of coordinator); then
    echo "coordinator runs already, pid $pid"
    return
  fi
  for server in ${servers//,/ }; do
    [[ $server == *:* ]] || server=$server:2181
    if answers "$server"; then
      echo "ZooKeeper answers at $server"
      return
    fi
  done
  [[ $servers != *,* ]] || die "nobody answers at $servers"
  [[ $servers == *:* ]] || servers=$servers:2181
  is_of_this_machine "$servers" || die "nobody answers at $servers, and that is not this machine"
  start coordinator coordinator --listen "$servers" --data-dir "$DATA_DIR/coordinator" --guard on
  wait_ready
}


# start_server ROLE NAME PORT PAGES
start_server() {
  local words=("$1" --zookeeper "$ZK_QUORUM" --rpc "$HOST:$3" --http "$HOST:$4" --data-dir "$DATA_DIR")
  if [[ -n ${ADVERTISE_HOST:-} ]]; then words+=(--advertise "$ADVERTISE_HOST:$3"); fi
  start "$2" "${words[@]}"
}

# Until clients find hbase:meta: then tables can be created.
wait_serving() {
  local deadline=$((SECONDS + START_TIMEOUT_S))
  until "$HBEACON" lookup "hbase+rpc://$masters" >"$LOG_DIR/lookup.out" 2>&1; do
    ((SECONDS < deadline)) || { cat "$LOG_DIR/lookup.out" >&2 && die "the masters do not tell where hbase:meta is"; }
    sleep 0.1
  done
  echo "tables can be created: hbase.client.bootstrap.servers=$masters, or hbase.zookeeper.quorum=${ZK_QUORUM%%/*}"
}

find_hbeacon
if [[ -n ${SERVER_ID:-} ]]; then
  start_server regionserver "regionserver-$SERVER_ID" "$BIND_PORT" "$HEALTH_PORT"
  wait_ready
  exit 0
fi
start_coordination
for index in "${!MASTER_PORTS[@]}"; do
  start_server master "master-$((index + 1))" "${MASTER_PORTS[index]}" "${MASTER_PAGES[index]}"
done
for ((id = 1; id <= count; id++)); do
  start_server regionserver "regionserver-$id" "$((BASE_PORT + id - 1))" "$((HEALTH_CHECK_BASE_PORT + id - 1))"
done
wait_ready
wait_serving
