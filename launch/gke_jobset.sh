#!/usr/bin/env bash
# Print the JobSet that trains on a TPU slice of a GKE cluster; nothing else happens.
#
#   launch/gke_jobset.sh NAME --image=IMAGE --type=tpu-v5-lite-podslice --topology=4x8 --spot \
#       --claim=CLAIM -- --config=configs/NAME.py --workdir=/mnt/CLAIM/NAME | kubectl apply -f -
#   kubectl logs --follow \
#       --selector=jobset.sigs.k8s.io/jobset-name=NAME,batch.kubernetes.io/job-completion-index=0
#   kubectl delete jobset NAME
#
# --image=IMAGE        of this checkout, whose working directory is its root: see docs/scaling.md
# --type=TYPE          node label cloud.google.com/gke-tpu-accelerator
# --topology=AxB[xC]   node label cloud.google.com/gke-tpu-topology
# --chips-per-host=N   default 4, as of machine types that end in -4t
# --claim=CLAIM        persistent volume claim that all hosts may write to; becomes /mnt/CLAIM
# --account=ACCOUNT    Kubernetes service account of the hosts
# --restarts=N         default 20: how often the run may begin again, from its last checkpoint
# --spot               on Spot nodes
#
# A host that fails or is taken away ends the processes of all, and the JobSet starts them again. Bad
# input (exit code 2 of launch/train.py) ends it at once. The cluster needs JobSet, as XPK's have.

set -euo pipefail

fail() { echo "error: $*" >&2; exit 2; }

quoted() { # as YAML
  [[ $1 != *[[:cntrl:]]* ]] || fail "an argument has a line break or another control character"
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

name=${1-}
case "$name" in
  "" | -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit ;;
esac
[[ $name =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ && ${#name} -le 40 ]] ||
  fail "the name has up to 40 small letters, digits and hyphens and begins with a letter, not $name"
shift

image='' type='' topology='' chips_per_host=4 claim='' account='' restarts=20 spot=no
while (($#)); do
  case $1 in
    --image=?*) image=${1#*=} ;;
    --type=?*) type=${1#*=} ;;
    --topology=?*) topology=${1#*=} ;;
    --chips-per-host=?*) chips_per_host=${1#*=} ;;
    --claim=?*) claim=${1#*=} ;;
    --account=?*) account=${1#*=} ;;
    --restarts=?*) restarts=${1#*=} ;;
    --spot) spot=yes ;;
    --) shift; break ;;
    *) fail "no option $1: see $0 --help; arguments of launch/train.py come after --" ;;
  esac
  shift
done

[[ -n $image && -n $type ]] || fail "--image=IMAGE and --type=TYPE are needed"
[[ $topology =~ ^[1-9][0-9]*(x[1-9][0-9]*){1,2}$ ]] || fail "--topology=AxB or AxBxC, not ${topology:-none}"
[[ $chips_per_host =~ ^[1-9][0-9]*$ ]] || fail "--chips-per-host is a number, not $chips_per_host"
[[ $restarts =~ ^[0-9]+$ ]] || fail "--restarts is a number, not $restarts"
chips=$((${topology//x/*}))
((chips >= chips_per_host)) || chips_per_host=$chips
((chips % chips_per_host == 0)) || fail "$topology is not a whole number of hosts of $chips_per_host chips"
hosts=$((chips / chips_per_host))

config=no workdir=no arguments=''
for argument in "$@"; do
  case $argument in
    --config=?*) config=yes ;;
    --workdir=gs://?* | --workdir=/?*) workdir=yes ;;
  esac
  arguments+="
                    - $(quoted "$argument")"
done
[[ $config == yes ]] || fail "say what to train: -- --config=configs/NAME.py"
[[ $workdir == yes ]] ||
  fail "name a place that all hosts share: --workdir=/FOLDER/NAME; their own disks go with them"

on_spot='' as_account='' mount='' volume=''
[[ $spot == no ]] || on_spot='
                cloud.google.com/gke-spot: "true"'
[[ -z $account ]] || as_account="
              serviceAccountName: $(quoted "$account")"
if [[ -n $claim ]]; then
  mount="
                    - name: shared-folder
                      mountPath: $(quoted "/mnt/$claim")"
  volume="
                - name: shared-folder
                  persistentVolumeClaim:
                    claimName: $(quoted "$claim")"
fi

cat <<END_OF_MANIFEST
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $name
  annotations:
    alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool
spec:
  failurePolicy:
    maxRestarts: $restarts
    rules:
      - name: badInput
        action: FailJobSet
        onJobFailureReasons: [PodFailurePolicy]
  replicatedJobs:
    - name: slice
      replicas: 1
      template:
        spec:
          completionMode: Indexed
          completions: $hosts
          parallelism: $hosts
          backoffLimit: 0  # a run goes on with all of its hosts or not at all
          podFailurePolicy:
            rules:
              - action: FailJob
                onExitCodes:
                  containerName: train
                  operator: In
                  values: [2]
          template:
            spec:
              restartPolicy: Never
              terminationGracePeriodSeconds: 300  # to save in; nodes that are taken away give less
              nodeSelector:
                cloud.google.com/gke-tpu-accelerator: $(quoted "$type")
                cloud.google.com/gke-tpu-topology: $(quoted "$topology")$on_spot$as_account
              containers:
                - name: train
                  image: $(quoted "$image")
                  command: [python, launch/train.py]
                  args:$arguments
                  env:
                    - name: JAX_PLATFORMS  # without TPUs an error, not the CPU
                      value: tpu,cpu
                  ports:
                    - containerPort: 8471  # TPU hosts among themselves
                    - containerPort: 8482  # JAX's coordinator
                  resources:
                    limits:
                      google.com/tpu: $chips_per_host
                  volumeMounts:
                    - name: shared-memory
                      mountPath: /dev/shm$mount
              volumes:
                - name: shared-memory  # of the input workers; containers have 64 MiB by default
                  emptyDir:
                    medium: Memory$volume
END_OF_MANIFEST
