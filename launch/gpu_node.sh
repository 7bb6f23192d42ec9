#!/usr/bin/env bash
# Train on all NVIDIA GPUs of this machine, in one process.
#
#   launch/gpu_node.sh [--dry-run] --config=configs/NAME.py [other arguments of launch/train.py]
#
# The same command again continues the run. CUDA_VISIBLE_DEVICES picks some of the GPUs. Variables
# that are set already stay as they are. Several machines without a scheduler become one run when the
# same command starts on each of them with JAX_COORDINATOR_ADDRESS=FIRST_MACHINE:PORT,
# JAX_NUM_PROCESSES and its own JAX_PROCESS_ID, from 0 on.

set -euo pipefail

fail() { echo "error: $*" >&2; exit 2; }

dry_run=no
case "${1-}" in
  "" | -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit ;;
  --dry-run) dry_run=yes; shift ;;
esac

if ((${SLURM_STEP_NUM_TASKS:-1} > 1)); then
  fail "this is one of $SLURM_STEP_NUM_TASKS Slurm tasks: launch/slurm.sbatch starts those"
fi

settings=(
  CUDA_DEVICE_ORDER="${CUDA_DEVICE_ORDER:-PCI_BUS_ID}"  # numbered as by nvidia-smi
  JAX_PLATFORMS="${JAX_PLATFORMS:-cuda,cpu}"            # without CUDA's JAX an error, not the CPU
  XLA_PYTHON_CLIENT_MEM_FRACTION="${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.9}"
)
if [[ -z ${JAX_NUM_PROCESSES-} ]]; then # machines with a disk each would find different programs
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/kgclip_jax/compiled
  settings+=(JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$cache}")
fi
command=(env "${settings[@]}" python "$(dirname "$0")/train.py" "$@")

if [[ $dry_run == yes ]]; then
  printf '%q ' "${command[@]}"
  echo
  exit
fi
nvidia-smi --list-gpus 2>/dev/null | grep -q ^GPU || fail "nvidia-smi lists no GPU of this machine"
exec "${command[@]}"
