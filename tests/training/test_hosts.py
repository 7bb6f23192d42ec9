"""What hosts tell each other, between two real processes."""

import socket
import subprocess
import sys
from collections import Counter

from kgclip_jax.training.hosts import sum_over_hosts

HOST = """
import sys
from collections import Counter
import jax
jax.config.update("jax_platforms", "cpu")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from kgclip_jax.errors import DataError
from kgclip_jax.training.hooks import Event
from kgclip_jax.training.metrics import RecordCounts
place = jax.process_index()
records = RecordCounts([["bad record", "torn", 5]], rows=100, limit=0.5, every=2)
counts = Counter({("bad record", "torn", f"{place}.jpg"): 40 * place, ("text", "of " + "x" * 9): 7})
records.after_step(Event(1, None, {}, 0.0, counts))
print(records.to_json(), records.examples)
try:
    records.after_step(Event(2, None, {}, 0.0, Counter({("bad record", "torn", "a"): 60 * place})))
except DataError as error:
    print(error)
"""


def test_hosts_count_together_and_give_up_together():
    """One of two hosts has all of the bad records."""
    with socket.create_server(("localhost", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, address, f"{place}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for place in range(2)
    ]
    for place, host in enumerate(hosts):
        lines = host.communicate(timeout=120)[0].splitlines()[-2:]
        total = [("bad record", "torn", 45), ("text", "of xxxxxxxxx", 14)]
        assert lines[0] == f"{total} {{'torn': '{place}.jpg'}}"
        assert lines[1].startswith("105 of 200 records could not be used, more than config.data.b")


def test_one_host_has_the_sum_already():
    counts = Counter({("text", "cut"): 2})
    assert sum_over_hosts(counts) is counts
