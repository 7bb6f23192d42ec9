#!/usr/bin/env bash
# What tpu_pod.sh does on each host of a slice. It lies in ~/kgclip_jax/code/launch there; beside code/
# are venv/, train.log and what a run leaves: supervisor and pid, the numbers of two processes, then
# exit_code, and stopped if it was asked to.
#
#   tpu_host.sh install PYTHON   make the environment, of python3.11 for example
#   tpu_host.sh start ARGS       start launch/train.py ARGS, which goes on when the connection ends
#   tpu_host.sh outcome          print running, stopped, none, or the exit code
#   tpu_host.sh stop SIGNAL      send the run a signal, and wait for its end

set -euo pipefail

fail() { echo "error: $(hostname): $*" >&2; exit 2; }

is_running() { [[ -s supervisor ]] && kill -0 "$(<supervisor)" 2>/dev/null; }

install() {
  if ! command -v "$1" >/dev/null; then
    sudo apt-get update --quiet
    sudo apt-get install --quiet --yes -o DPkg::Lock::Timeout=300 "$1-venv"
  fi
  "$1" -m venv venv
  venv/bin/pip install --quiet "jax[tpu]" -r code/requirements.txt
}

start() {
  if is_running; then fail "a run goes on here already: stop it first"; fi
  rm -f pid exit_code stopped
  setsid code/launch/tpu_host.sh supervise "$@" >>train.log 2>&1 </dev/null &
  echo $! >supervisor
  while is_running && [[ ! -s pid ]]; do sleep 0.1; done # until it can be stopped
}

supervise() {
  local code=0
  cd code
  export JAX_PLATFORMS=tpu,cpu # without TPUs an error, not the CPU; JAX finds the other hosts itself
  ../venv/bin/python launch/train.py "$@" &
  echo $! >../pid
  wait $! || code=$?
  echo "$code" >../exit_code
}

outcome() {
  if is_running; then
    echo running
  elif [[ -e stopped ]]; then
    echo stopped
  else
    cat exit_code 2>/dev/null || echo none
  fi
}

stop() {
  is_running || fail "no run goes on here"
  touch stopped
  kill -s "$1" "$(<pid)"
  while is_running; do sleep 1; done
}

cd "$(dirname "$0")/../.."
case "${1-}" in
  install | start | supervise | outcome | stop) "$@" ;;
  *) sed -n '2,/^$/s/^# \{0,1\}//p' code/launch/tpu_host.sh >&2; exit 2 ;;
esac
