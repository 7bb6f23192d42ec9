"""Who a process is, and how processes come together and end together; several of them are real."""

import os
import socket
import subprocess
import sys

import jax
import pytest
from jax._src.clusters import cloud_tpu_cluster

from kgclip_jax.cluster import (
    ADDRESS,
    COUNT,
    INDEX,
    Place,
    described,
    find_place,
    has_its_host_alone,
    joined,
)
from kgclip_jax.errors import CheckpointError, ConfigError

SLURM = {
    "SLURM_JOB_ID": "17",
    "SLURM_STEP_NODELIST": "node[3-6]",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_TASKS_PER_NODE": "1(x4)",
}
POD = {
    "TPU_WORKER_HOSTNAMES": "a,b,c,d",
    "TPU_WORKER_ID": "2",
    "MEGASCALE_NUM_SLICES": "2",
    "MEGASCALE_SLICE_ID": "1",
    "MEGASCALE_COORDINATOR_ADDRESS": "a",
}
THREE = {ADDRESS: "node3:1234", COUNT: "4", INDEX: "0"}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Sets variables, where none of these is set."""
    for name in (SLURM | POD | THREE).keys() | {"JAX_LOCAL_DEVICE_IDS"}:
        monkeypatch.delenv(name, raising=False)

    def environment(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return environment


@pytest.mark.parametrize(
    "variables",
    [{}, {COUNT: "1"}, SLURM | {COUNT: "1"}, SLURM | {"SLURM_NTASKS": "1"}, THREE | {COUNT: "1"}],
    ids=["nothing is set", "it says so", "it says so in a job", "one task", "one of one"],
)
def test_one_process_alone_connects_to_nothing(environment, variables):
    environment(**variables)
    with joined():
        assert not jax.distributed.is_initialized()


def test_processes_are_found(environment, monkeypatch):
    environment(**SLURM)
    assert find_place() == Place(1, 4, "SLURM", "slurm")
    environment(**THREE)
    assert find_place() == Place(0, 4, COUNT, "deactivate")
    for name in SLURM | THREE:
        monkeypatch.delenv(name)
    environment(**POD)
    assert find_place() is None
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    assert find_place() == Place(6, 8, "the Cloud TPU pod", "gketpu")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({COUNT: "4"}, f"{COUNT} set, and {ADDRESS} and {INDEX} not: several processes need all"),
        ({INDEX: "0"}, f"{INDEX} set, and {ADDRESS} and {COUNT} not"),
        ({ADDRESS: "a:1"}, f"{ADDRESS} set, and {COUNT} and {INDEX} not"),
        (THREE | {COUNT: "four"}, f"{COUNT} is 'four', which is no number"),
        (THREE | {INDEX: "-1"}, f"{INDEX} is '-1', which is no number"),
        (THREE | {INDEX: "4"}, f"{INDEX} is 4 and {COUNT} 4: processes are counted from 0"),
        (THREE | {ADDRESS: "node3"}, f"{ADDRESS} is 'node3', not HOST:PORT"),
        (SLURM | {"SLURM_NTASKS": "many"}, "SLURM does not say which process this is .*many"),
    ],
)
def test_what_is_set_in_part_or_wrongly_is_refused(environment, variables, message):
    environment(**variables)
    with pytest.raises(ConfigError, match=message):
        find_place()


@pytest.mark.parametrize(
    ("variables", "alone"),
    [
        ({}, True),
        ({"SLURM_STEP_TASKS_PER_NODE": "1"}, True),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x2)"}, False),
        ({"SLURM_STEP_TASKS_PER_NODE": "1(x2),2"}, False),
        ({"JAX_LOCAL_DEVICE_IDS": "0,1"}, False),
    ],
)
def test_one_task_a_node_has_all_of_its_devices(environment, variables, alone):
    environment(**SLURM | variables)
    assert has_its_host_alone(find_place()) == alone


SCRIPT = """
import os, signal, sys, time
from kgclip_jax.cluster import joined
from kgclip_jax.errors import DataError
with joined(float(sys.argv[1])):
    exec(sys.argv[2])
"""


def end(*processes, patience=60):
    """(exit code, standard error) of processes that say (INDEX, COUNT) and do something."""
    with socket.create_server(("localhost", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, f"{patience}", does],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"XLA_FLAGS": "", ADDRESS: address, COUNT: count, INDEX: index},
        )
        for index, count, does in processes
    ]
    return [(process.communicate(timeout=300)[1], process.returncode) for process in started]


WAIT = "time.sleep(300)"


def test_a_process_whose_others_do_not_come_says_where_it_waited():
    ((said, code),) = end(("0", "2", WAIT), patience=1)
    assert code == 1
    assert said.startswith(
        f"error: process 0 of 2, found by {COUNT}, has waited 1 s for the others"
    )
    assert "at localhost:" in said


def test_processes_of_different_numbers_are_refused():
    line = "error: process 1 of 3: process 0 is one of 2: launch all of them as so many\n"
    assert end(("0", "2", WAIT), ("1", "3", WAIT)) == [(line, 2)] * 2


def test_an_error_of_one_ends_all_and_is_told_by_all():
    line = "error: process 1 of 2: 7.jpg is torn\n"
    assert end(("0", "2", WAIT), ("1", "2", "raise DataError('7.jpg is torn')")) == [(line, 2)] * 2


def test_without_the_first_process_the_others_end():
    """Whoever finds out first: we, or JAX, which aborts."""
    killed, (said, code) = end(("0", "2", "os.kill(os.getpid(), 9)"), ("1", "2", WAIT))
    assert killed == ("", -9)
    assert code in (1, -6)
    assert "process 0 does not answer any more" in said or "coordination service" in said


def test_a_lost_process_is_told_before_what_follows_from_it():
    """Closing the hooks of a run meets the same broken connection, and says something else."""
    lost = ValueError("UNKNOWN: Gloo AllGather failed: Connection reset by peer")
    later = CheckpointError("cannot write a checkpoint")
    later.__context__ = lost
    told = (1, f"another process is gone, or cannot be reached ({lost})")
    assert [described(error) for error in (lost, later)] == [told, told]
    assert described(CheckpointError("cannot write")) == (2, "cannot write")
