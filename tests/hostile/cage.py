"""Readers run in a cage: little time and memory, and a record of what they open and start.

Run as a program: takes lines of JSON, {"reader": NAME, "path": PATH}, loads the libraries once, and
gives each to a fork of its own. Answers with a line of JSON each: {"outcome": "read", "refused" or
what went wrong, "message": ..., "opened": paths outside of PATH's folder but beside it}.
"""

import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path

import numpy as np

from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.convert.tokenizer_files import read_tokenizer
from kgclip_jax.convert.weights import read_weights
from kgclip_jax.data.images import evaluation_transform, image_size, random_resized_crop
from kgclip_jax.data.readers.array_records import ArrayRecords
from kgclip_jax.data.readers.folders import FolderLayout, open_folder
from kgclip_jax.data.readers.karpathy import open_karpathy
from kgclip_jax.data.readers.listed_captions import read_listed
from kgclip_jax.data.readers.shard_manifest import read_manifest
from kgclip_jax.data.readers.webdataset import TarPictures
from kgclip_jax.data.streams.neighbours import open_neighbours
from kgclip_jax.data.streams.texts import Draw
from kgclip_jax.data.tokenization.tokenizer_config import make_tokenizer
from kgclip_jax.errors import BadRecord, UserError
from kgclip_jax.evaluation.outcomes import read_outcomes
from kgclip_jax.files import read_json_object
from kgclip_jax.knowledge.graph.knowledge_graph import read_split
from kgclip_jax.knowledge.graph_store import GraphStore

SECONDS, BYTES = 20, 2**30  # of one case; a loaded process needs a third of the latter anyway

STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")


def _weights(path):
    return len(dict(read_weights(path).items()))


def _picture(path):
    encoded = path.read_bytes()
    image_size(encoded)
    random_resized_crop(encoded, 32, np.random.default_rng(0), scale=(0.5, 1.0))
    return evaluation_transform(encoded, 32, "shortest", "bicubic").shape


def _photographs(path):
    records = open_folder(path, bad_share=0.9)
    return [len(records.encoded(index)) for index in range(len(records))]


def _listing(path):
    records = open_folder(path.parent, layout=FolderLayout(path.name), bad_share=0.9)
    return [len(records.encoded(index)) for index in range(len(records))]


def _tar(path):
    records = TarPictures(path.parent, path.name, bad_share=0.9)
    return [len(records.encoded(index)) for index in range(len(records))]


def _shards(path):
    records = ArrayRecords(path)
    found = []
    for index in range(len(records)):
        try:
            found.append((records.record(index).captions, len(records.encoded(index))))
        except BadRecord as error:
            found.append(str(error))
    return found


def _karpathy(path):
    records = open_karpathy(path, path.parent, "train", bad_share=0.9)
    return [len(records.encoded(index)) for index in range(len(records))]


def _neighbours(path):
    return open_neighbours({"a": path}, {"a": range(4)}, seed=0).beside([Draw("a", 0, 0)])


def _tokenizer(path):
    settings = read_tokenizer(path)
    return settings and make_tokenizer(settings, 16)(["a dog"]).shape


READERS = {
    "weights": _weights,
    "model": lambda path: len(open_pretrained(path).read()),
    "picture": _picture,
    "photographs": _photographs,
    "listing": _listing,
    "tar": _tar,
    "manifest": read_manifest,
    "shards": _shards,
    "karpathy": _karpathy,
    "listed": lambda path: [len(entry.wrong) for entry in read_listed(path)],
    "neighbours": _neighbours,
    "graphs": lambda path: GraphStore(path).graphs("a.jpg", ["a dog"]).graph(0),
    "split": lambda path: len(read_split(path, entities=2, triples=1)),
    "outcomes": read_outcomes,
    "tokenizer": _tokenizer,
    "json": read_json_object,
}


def _virtual_memory():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _in_the_cage(reader, path):
    """Read, and return what came of it; the process is not to be used any more."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    limit = _virtual_memory() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    folder = path if path.is_dir() else path.parent
    opened = []

    def watch(event, arguments):
        if event in STARTS:
            opened.append(f"{event} {arguments}")
        if event == "open" and isinstance(arguments[0], str):
            file = os.path.realpath(arguments[0])
            beside = file.startswith(f"{folder.parent}{os.sep}")
            if beside and not file.startswith(f"{folder}{os.sep}"):
                opened.append(file)

    sys.addaudithook(watch)
    try:
        outcome, message = "read", repr(READERS[reader](path))
    except (UserError, BadRecord) as refusal:
        outcome, message = "refused", str(refusal)
    except BaseException as error:
        outcome, message = type(error).__name__, traceback.format_exc()
    return {"outcome": outcome, "message": message[:5000], "opened": opened}


def _answer(reader, path):
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(3 * SECONDS)  # for one that sleeps
        with os.fdopen(sending, "w") as pipe:
            json.dump(_in_the_cage(reader, path), pipe)
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    died = {"outcome": f"ended with status {status}", "message": answer, "opened": []}
    return died if status else json.loads(answer)


if __name__ == "__main__":
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_answer(request["reader"], Path(request["path"]))), flush=True)
