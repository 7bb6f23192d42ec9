"""What hosts tell each other, between two real processes."""

import json
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
import json, os, signal, sys
from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path
import jax
import numpy as np
jax.config.update("jax_platforms", "cpu")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from jax.sharding import NamedSharding, PartitionSpec
from kgclip_jax import config
from kgclip_jax.data.pipeline import HostBatch
from kgclip_jax.errors import UserError
from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.training.hooks import Event, Every, SaveCheckpoints
from kgclip_jax.training.hosts import agreed_stop, check_agreement, check_shared
from kgclip_jax.training.loop import Interruption, train
from kgclip_jax.training.metrics import RecordCounts
from kgclip_jax.training.placement import Placement
from kgclip_jax.training.sharding import make_mesh
from kgclip_jax.training.step import TrainState
from tests.training.made_up_streams import MadeUpStream
place = jax.process_index()
folder = Path(sys.argv[3])
said = {}

def refusal(function, *arguments):
    try:
        function(*arguments)
    except UserError as error:
        return str(error)

records = RecordCounts([["bad record", "torn", 5]], rows=100, limit=0.5, every=2)
counts = Counter({("bad record", "torn", f"{place}.jpg"): 40 * place, ("text", "of " + "x" * 9): 7})
records.after_step(Event(1, None, {}, 0.0, counts))
said["counts"] = records.to_json(), records.examples
more = Event(2, None, {}, 0.0, Counter({("bad record", "torn", "a"): 60 * place}))
said["too many"] = refusal(records.after_step, more)

values = {"step": 4, "config": {"seed": 0, "data": {"path": "/a"}}}
said["same"] = refusal(check_agreement, values)
values["config"] |= {"seed": place, "data": {"path": "/b" if place else "/a"}}
said["different"] = refusal(check_agreement, values)
said["shared"] = refusal(check_shared, folder)
own = folder / f"of {place}"
own.mkdir()
said["not shared"] = refusal(check_shared, own)

streams = {"some": MadeUpStream(lambda rng: rng.random(2), units=4)}
for name, shape in (("data", (2, 1, 1)), ("fsdp", (1, 2, 1)), ("tensor", (1, 1, 2))):
    loads = Placement(streams, make_mesh(config.Mesh(*shape)))
    said[name] = loads.units["some"], loads.counted["some"]

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
saver = SaveCheckpoints(Checkpoints(folder / "checkpoints"), {}, dict, 100)
batches = (HostBatch([np.full(1, n, np.float32)], Counter()) for n in count(1))
with closing(saver), Interruption() as it:
    state = train(
        jax.device_put(zero, whole), step, batches, put, [Every(5, kill)], start=0, stop=50,
        interrupted=lambda step: agreed_stop(step, it.requested, 4),
    )
    saver.save(int(state.step), state)
said["stopped"] = int(state.step), float(state.params["model"]["w"])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Their folder, and what each of two hosts said."""
    folder = tmp_path_factory.mktemp("hosts")
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
    outputs = [process.communicate(timeout=300)[0].splitlines() for process in processes]
    return folder, [json.loads(lines[-1]) for lines in outputs]


def test_hosts_count_together_and_give_up_together(hosts):
    """One of two hosts has all of the bad records."""
    for place, said in enumerate(hosts[1]):
        total = [["bad record", "torn", 45], ["text", "of xxxxxxxxx", 14]]
        assert said["counts"] == [total, {"torn": f"{place}.jpg"}]
        assert said["too many"].startswith("105 of 200 records could not be used, more than confi")


def test_a_signal_to_one_host_saves_and_stops_all_after_the_same_step(hosts):
    """It comes after step 5, and they ask each other every fourth."""
    folder, said = hosts
    assert [each["stopped"] for each in said] == [[8, 2.0 * sum(range(9))]] * 2
    assert saved_steps(folder / "checkpoints") == [8]


def test_what_differs_between_hosts_is_refused_by_all_with_a_line_each(hosts):
    for said in hosts[1]:
        assert said["same"] is None
        assert said["different"].splitlines()[1:] == [
            "  config.data.path: '/a' on process 0, '/b' on process 1",
            "  config.seed: 0 on process 0, 1 on process 1",
        ]


def test_a_folder_that_hosts_do_not_share_is_refused(hosts):
    folder, said = hosts
    assert [each["shared"] for each in said] == [None, None]
    other = f" is another folder for process 1 on {socket.gethostname()}: choose a --workdir"
    for place, each in enumerate(said):
        assert each["not shared"].startswith(f"{folder / f'of {place}'}{other}")
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "of 0", "of 1"]


@pytest.mark.parametrize("axis", ["data", "fsdp"])
def test_hosts_share_the_rows_between_them(hosts, axis):
    assert [said[axis] for said in hosts[1]] == [[[0, 1], [0, 1]], [[2, 3], [2, 3]]]


def test_hosts_along_tensor_load_the_same_rows_and_the_first_of_them_counts(hosts):
    assert [said["tensor"] for said in hosts[1]] == [
        [[0, 1, 2, 3], [0, 1, 2, 3]],
        [[0, 1, 2, 3], []],
    ]


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
