"""What hosts tell each other, between two real processes."""

import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jax
import pytest

from kgclip_jax.store.checkpoints import saved_steps
from kgclip_jax.training.hosts import agreed_stop, is_first, own_file, sum_over_hosts

HOST = """
import os, signal, sys
from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path
import jax
import numpy as np
jax.config.update("jax_platforms", "cpu")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from jax.sharding import NamedSharding, PartitionSpec
from kgclip_jax.data.pipeline import HostBatch
from kgclip_jax.errors import DataError
from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.training.hooks import Event, Every, SaveCheckpoints
from kgclip_jax.training.hosts import agreed_stop
from kgclip_jax.training.loop import Interruption, train
from kgclip_jax.training.metrics import RecordCounts
from kgclip_jax.training.step import TrainState
place = jax.process_index()

records = RecordCounts([["bad record", "torn", 5]], rows=100, limit=0.5, every=2)
counts = Counter({("bad record", "torn", f"{place}.jpg"): 40 * place, ("text", "of " + "x" * 9): 7})
records.after_step(Event(1, None, {}, 0.0, counts))
print(records.to_json(), records.examples)
try:
    records.after_step(Event(2, None, {}, 0.0, Counter({("bad record", "torn", "a"): 60 * place})))
except DataError as error:
    print(error)

mesh = jax.make_mesh((2,), ("data",))
rows, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))

def put(parts):
    mine = jax.device_put(parts, jax.local_devices())
    return jax.make_array_from_single_device_arrays((2,), rows, mine)

@jax.jit
def step(state, batch):
    sum = {"w": state.params["model"]["w"] + batch.sum()}
    return TrainState(state.step + 1, {"model": sum, "adapters": {}, "heads": {}}, {}, None), {}

def kill(step, state):
    if place == 1:
        os.kill(os.getpid(), signal.SIGTERM)

params = {"model": {"w": np.float32(0)}, "adapters": {}, "heads": {}}
zero = TrainState(np.int32(0), params, {}, None)
saver = SaveCheckpoints(Checkpoints(Path(sys.argv[3])), {}, dict, 100)
batches = (HostBatch([np.full(1, n, np.float32)], Counter()) for n in count(1))
with closing(saver), Interruption() as it:
    state = train(
        jax.device_put(zero, whole), step, batches, put, [Every(5, kill)], start=0, stop=50,
        interrupted=lambda step: agreed_stop(step, it.requested, 4),
    )
    saver.save(int(state.step), state)
print("stopped at", int(state.step), float(state.params["model"]["w"]))
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """The folder of checkpoints, and what each of two hosts said."""
    folder = tmp_path_factory.mktemp("hosts") / "checkpoints"
    with socket.create_server(("localhost", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, address, f"{place}", str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"XLA_FLAGS": ""},  # one device each
        )
        for place in range(2)
    ]
    return folder, [process.communicate(timeout=120)[0].splitlines()[-3:] for process in processes]


def test_hosts_count_together_and_give_up_together(hosts):
    """One of two hosts has all of the bad records."""
    for place, lines in enumerate(hosts[1]):
        total = [("bad record", "torn", 45), ("text", "of xxxxxxxxx", 14)]
        assert lines[0] == f"{total} {{'torn': '{place}.jpg'}}"
        assert lines[1].startswith("105 of 200 records could not be used, more than config.data.b")


def test_a_signal_to_one_host_saves_and_stops_all_after_the_same_step(hosts):
    """It comes after step 5, and they ask each other every fourth."""
    folder, said = hosts
    assert [lines[2] for lines in said] == [f"stopped at 8 {2.0 * sum(range(9))}"] * 2
    assert saved_steps(folder) == [8]


def test_what_one_process_alone_knows_has_a_file_of_its_own(monkeypatch):
    assert own_file(Path("run/stall-5.txt")) == Path("run/stall-5.txt")
    assert is_first()
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert own_file(Path("run/stall-5.txt")) == Path("run/stall-5-process-1.txt")
    assert not is_first()


def test_one_host_has_the_sum_already_and_stops_at_once():
    counts = Counter({("text", "cut"): 2})
    assert sum_over_hosts(counts) is counts
    assert [agreed_stop(5, requested, 4) for requested in (False, True)] == [False, True]
