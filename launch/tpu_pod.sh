#!/usr/bin/env bash
# Train on a Cloud TPU slice: queue it, bring the checkout there, run one command on all its hosts.
#
#   launch/tpu_pod.sh run NAME --zone=ZONE --type=v5litepod-32 --runtime=v2-alpha-tpuv5-lite --spot \
#       --prepare='mountpoint -q /mnt || sudo mount SERVER:/FOLDER /mnt' \
#       -- --config=configs/NAME.py --workdir=/mnt/NAME
#   launch/tpu_pod.sh log NAME --zone=ZONE
#   launch/tpu_pod.sh delete NAME --zone=ZONE
#
# run      create, setup and start; all of it again after each preemption, until the run is done
# create   queue the slice
# setup    bring the checkout to all hosts, without what git ignores, and install it
# start    start `python launch/train.py` with what comes after -- on all hosts
# log      follow the log of host 0
# status   print the state of the slice and of the run
# stop     let the run save and stop, and wait for that
# delete   delete the slice
#
# --zone=ZONE        where the slice is
# --project=PROJECT  default: that of gcloud
# --type=TYPE        kind and number of TPUs, gcloud's --accelerator-type
# --runtime=VERSION  v2-alpha-tpuv6e, v2-alpha-tpuv5 (v5p), v2-alpha-tpuv5-lite or tpu-ubuntu2204-base
# --spot             cheaper, and taken back when others want it
# --prepare=COMMAND  what each host does first in setup, each time, such as to mount a shared folder
# --python=PYTHON    of the hosts; default python3.11, which is installed where it is missing
# --dry-run          print what gcloud would be told
#
# run may be ended by Ctrl-C and started again; training goes on meanwhile. gcloud connects by SSH:
# ssh-add ~/.ssh/google_compute_engine first.

set -euo pipefail

readonly POLL=60    # seconds between looks at the slice
readonly ATTEMPTS=5 # to start a run on one slice

fail() { echo "error: $*" >&2; exit 2; }
tell() { echo "$(date '+%F %T') $*" >&2; }

cloud() {
  set -- gcloud compute tpus "$@" "--zone=$zone" ${project:+"--project=$project"} --quiet
  if [[ $dry_run == yes ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

# Do something of tpu_host.sh on all hosts.
hosts() {
  cloud tpu-vm ssh "$name" --worker=all \
    "--command=kgclip_jax/code/launch/tpu_host.sh$(printf ' %q' "$@")"
}

# Print what has become of the run; `none` also where the checkout has not been brought yet.
outcome() {
  local script=kgclip_jax/code/launch/tpu_host.sh
  cloud tpu-vm ssh "$name" --worker=0 \
    "--command=if [ -e $script ]; then $script outcome; else echo none; fi"
}

# Print the state of the queued slice; nothing where there is none.
state() {
  cloud queued-resources list "--filter=name ~ /$name\$" "--format=value(state.state)"
}

create() {
  cloud queued-resources create "$name" "--node-id=$name" "--accelerator-type=$type" \
    "--runtime-version=$runtime" ${spot:+--spot}
}

# Pack the checkout as it is now, by an index of its own: git's stays as it is.
pack() {
  local root tree
  [[ $dry_run == no ]] || return 0
  root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
  GIT_INDEX_FILE=$scratch/index git -C "$root" add --all
  tree=$(GIT_INDEX_FILE=$scratch/index git -C "$root" write-tree)
  git -C "$root" archive --output="$scratch/kgclip_jax.tar.gz" "$tree"
}

setup() {
  local unpack="rm -rf code && mkdir code && tar -xzf ~/kgclip_jax.tar.gz -C code"
  if [[ -n $prepare ]]; then
    cloud tpu-vm ssh "$name" --worker=all "--command=$prepare" || return
  fi
  cloud tpu-vm scp "$scratch/kgclip_jax.tar.gz" "$name:" --worker=all &&
    cloud tpu-vm ssh "$name" --worker=all \
      "--command=mkdir -p kgclip_jax && cd kgclip_jax && $unpack" &&
    hosts install "$python"
}

delete() { cloud queued-resources delete "$name" --force; }

# Look at slice and run every minute, and do what is next.
run() {
  local started=no attempts=0 now told=''
  while true; do
    now=$(state) || now=UNKNOWN # gcloud has said why
    case $now in
      "")
        tell "queueing $name"
        create
        attempts=0
        ;;
      ACTIVE) advance "$@" && return ;;
      SUSPENDED)
        tell "$name was preempted"
        delete || true # again in a minute
        started=no
        ;;
      FAILED) fail "$name was not granted: gcloud compute tpus queued-resources describe $name --zone=$zone" ;;
      "$told") ;;
      *) tell "$name: $now" ;;
    esac
    told=$now
    sleep "$POLL"
  done
}

# Start the run if it does not go on; true when it is done. Reads and sets what `run` remembers.
advance() {
  now=$(outcome | tail -n 1) || now=unreachable
  case $started-$now in
    *-unreachable) ;; # not yet, or not any more
    yes-running) ;;
    no-running)
      tell "the run goes on"
      started=yes
      ;;
    yes-0) return 0 ;;
    yes-2) fail "bad input: $0 log $name --zone=$zone" ;;
    yes-stopped) fail "stopped and saved; the slice is there still" ;;
    yes-*)
      tell "the run ended with $now"
      hosts stop KILL || true # where nobody has noticed yet
      started=no
      ;;
    *)
      ((++attempts <= ATTEMPTS)) || fail "$ATTEMPTS attempts failed: $0 log $name --zone=$zone"
      tell "starting on $name"
      if setup && hosts start "$@"; then
        started=yes
      else
        hosts stop KILL || true # where it did start, it would wait for the others
      fi
      ;;
  esac
  return 1
}

action=${1-} name=${2-}
case "$action" in
  "" | -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit ;;
  run | create | setup | start | log | status | stop | delete) ;;
  *) fail "no command $action: see $0 --help" ;;
esac
[[ $name =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ ]] ||
  fail "$action needs a name for the slice, of small letters, digits and hyphens, not ${name:-none}"
shift 2

zone='' project='' type='' runtime='' spot='' prepare='' python=python3.11 dry_run=no
while (($#)); do
  case $1 in
    --zone=?*) zone=${1#*=} ;;
    --project=?*) project=${1#*=} ;;
    --type=?*) type=${1#*=} ;;
    --runtime=?*) runtime=${1#*=} ;;
    --spot) spot=yes ;;
    --prepare=?*) prepare=${1#*=} ;;
    --python=?*) python=${1#*=} ;;
    --dry-run) dry_run=yes ;;
    --) shift; break ;;
    *) fail "no option $1: see $0 --help; arguments of launch/train.py come after --" ;;
  esac
  shift
done

[[ -n $zone ]] || fail "say where: --zone=ZONE"
if [[ $action == run || $action == create ]]; then
  [[ -n $type && -n $runtime ]] || fail "$action needs --type=TYPE and --runtime=VERSION"
fi
if [[ $action == run || $action == start ]]; then
  config=no workdir=no
  for argument in "$@"; do
    case $argument in
      --config=?*) config=yes ;;
      --workdir=gs://?* | --workdir=/?*) workdir=yes ;;
    esac
  done
  [[ $config == yes ]] || fail "say what to train: -- --config=configs/NAME.py"
  [[ $workdir == yes ]] ||
    fail "name a place that all hosts share: --workdir=/FOLDER/NAME; their own disks go with them"
elif (($#)); then
  fail "$action takes no arguments of launch/train.py"
fi
[[ $dry_run == yes ]] || command -v gcloud >/dev/null || fail "gcloud is not installed"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case $action in
  run)
    pack
    if [[ $dry_run == yes ]]; then
      create
      state
      setup
      hosts start "$@"
      outcome
      echo "# and, when state says SUSPENDED, once more after:"
      delete
    else
      run "$@"
      tell "done; the slice is there still: $0 delete $name --zone=$zone"
    fi
    ;;
  create | delete) "$action" ;;
  setup)
    pack
    setup
    ;;
  start) hosts start "$@" ;;
  log) cloud tpu-vm ssh "$name" --worker=0 "--command=tail -n 100 -F kgclip_jax/train.log" ;;
  status) state && outcome ;;
  stop) hosts stop TERM ;;
esac
