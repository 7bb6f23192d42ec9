"""What a checkpoint promises of its run, and what a run that breaks it is told."""

import copy
import json

import pytest

from kgclip_jax.errors import CheckpointError
from kgclip_jax.training.promises import check_promises, promises
from tests.training.made_up_streams import MadeUpStream, made_up_pairs


class Slotted(MadeUpStream):
    def resolved(self):
        return {"text_slots": {"unit": 8, "lengths": (6, 12)}}


STREAMS = {name: Slotted(made_up_pairs, name=name) for name in ("captions", "graph")}
SAVED = promises(STREAMS, "float32")


def test_data_and_precision_are_promised():
    assert {
        "dtype": "float32",
        "streams": {
            name: {"fingerprint": name, "resolved": {"text_slots": {"unit": 8, "lengths": (6, 12)}}}
            for name in ("captions", "graph")
        },
    } == SAVED
    check_promises(json.loads(json.dumps(SAVED)), promises(STREAMS, "float32"))


def test_every_broken_promise_is_a_line_that_says_what_to_do():
    now = copy.deepcopy(SAVED)
    now["dtype"] = "bfloat16"
    now["streams"]["captions"]["fingerprint"] = "other"
    now["streams"]["graph"]["resolved"]["text_slots"]["unit"] = 16
    with pytest.raises(CheckpointError) as refusal:
        check_promises(SAVED, now)
    assert str(refusal.value).splitlines() == [
        "this run cannot go on as it was:",
        "  it computed in float32, and this platform would in bfloat16: set "
        "config.execution.dtype to float32",
        "  the sources of config.streams.captions hold other records than when it began: give it "
        "the same, or begin in another --workdir",
        "  config.streams.graph.resolved.text_slots.unit: 8 -> 16",
    ]
