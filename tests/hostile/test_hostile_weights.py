"""Files of weights made to do harm: each is refused in clear words, or read as what it is.

All readers keep within seconds and a gigabyte, open nothing outside the folder they were given, and
start nothing: see `cage`.
"""

import json
import os
import pickle
import pickletools
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.hostile.verdicts import refused


class Runs:
    """Touches a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def archive(path, pickled, storages=(), compression=zipfile.ZIP_STORED):
    """A file as torch saves it, around any pickle."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled)
        for key, content in dict(storages).items():
            file.writestr(f"archive/data/{key}", content)
    return path


def pushed(value):
    """The instructions that put a value on the stack."""
    return pickletools.optimize(pickle.dumps(value, 2))[2:-1]


def tensor(size, stride=None, *, offset=0, key="0", numbers=4):
    """The instructions that put a tensor there."""
    stride = tuple(stride or [1] * len(size))
    return b"".join(
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n(",
            *(b"(", pushed("storage"), b"ctorch\nFloatStorage\n", pushed(key), pushed("cpu")),
            *(pushed(numbers), b"tQ", pushed(offset), pushed(tuple(size)), pushed(stride)),
            *(b"\x89", b"}", b"tR"),
        ]
    )


def state_dict(instructions):
    """A pickle of {"a": what the instructions put on the stack}."""
    return b"\x80\x02}" + pushed("a") + instructions + b"s."


FOUR = {"0": np.ones(4, np.float32).tobytes()}
MODULE = b"c__torch__.a\nM\n)\x81"


def modules(depth):
    """Modules each of which has the next one twice: 2 ** depth weights in a kilobyte."""
    twice = b"}(" + pushed("a") + b"h\x01" + pushed("b") + b"h\x01ub"
    innermost = MODULE + b"}" + pushed("w") + tensor((4,)) + b"sb"
    return b"\x80\x02" + innermost + (b"q\x01" + MODULE + twice) * depth + b"."


# A module that is its own part, twice.
CYCLIC = b"\x80\x02" + MODULE + b"q\x00}(" + pushed("a") + b"h\x00" + pushed("b") + b"h\x00ub."
# A key that takes 2 ** 60 steps to hash: a tuple of a tuple twice, and so on.
HASHED_FOR_EVER = b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"Ns."


PICKLES = {
    "code": (lambda f: pickle.dumps({"a": Runs(f.parent / "ran")}, 2), "holds more than weights"),
    "code by another name": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "more than weights.*os.sys"),
    "code of torch": (b"\x80\x02ctorch.hub\nload\n.", "more than weights.*torch.hub.load"),
    "a dotted name": (b"\x80\x04\x8c\x05torch\x8c\x07os.walk\x93.", "more than weights"),
    "an extension": (b"\x80\x02\x82\x01.", "damaged|instruction EXT1"),
    "an old instance": (b"(ios\nsystem\n.", "instruction INST"),
    "a memo of 2 ** 32": (b"\x80\x02}r\xff\xff\xff\xff.", "holds no state dict"),
    "bytes of 2 ** 60": (b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b".", "damaged"),
    "a number of megabytes": (
        b"\x80\x02\x8b" + struct.pack("<i", 2**22) + b"\x7f" * 2**22 + b".",
        "holds no state dict",
    ),
    "millions of instructions": (b"\x80\x02" + b"N0" * 10**6 + b"N" * 3 * 10**6, "damaged"),
    "a stack that is empty": (b"\x80\x02u.", "damaged"),
    "a dict within itself": (b"\x80\x02}q\x00" + pushed("a") + b"h\x00s.", "no state dict"),
    "modules within themselves": (CYCLIC, "without end"),
    "modules without end": (modules(40), "without end"),
    "a key without end": (HASHED_FOR_EVER, "keys that are neither"),
    "a view beyond its storage": (state_dict(tensor((5,))), "beyond its storage"),
    "an offset beyond it": (state_dict(tensor((4,), offset=1)), "beyond its storage"),
    "strides beyond it": (state_dict(tensor((2, 2), (3, 1))), "beyond its storage"),
    "an enormous view": (state_dict(tensor((10**12,), (0,))), "beyond its storage"),
    "a view backwards": (state_dict(tensor((2,), (-1,))), "without a place"),
    "axes without end": (state_dict(tensor((1,) * 100)), "without a place"),
    "numbers without end": (state_dict(tensor((10**5000,))), "without a place"),
    "a storage that is not there": (state_dict(tensor((4,), key="1")), "no member archive/data/1"),
    "a storage elsewhere": (state_dict(tensor((4,), key="../../secret")), "to no storage"),
    "a storage that is too short": (state_dict(tensor((4,), numbers=2**40)), "16 of 4398046511104"),
    "a storage that is no tuple": (b"\x80\x02" + pushed("storage") + b"Q.", "to no storage"),
    "deep nesting": (b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".", "holds no state dict"),
}


@pytest.mark.parametrize("form", ["archive", "bare"])
@pytest.mark.parametrize("name", PICKLES)
def test_pickles(ask, folder, name, form):
    content, message = PICKLES[name]
    content = content(folder) if callable(content) else content
    path = folder / "model.pt"
    if form == "archive":
        archive(path, content, FOUR)
    else:
        path.write_bytes(content)
        message = "no archive"
    refused(ask("weights", path), f"model.pt.*({message})", folder)


def zip_of(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries:
            file.writestr(name, content)


@pytest.mark.parametrize(
    "damage", ["bomb", "no pickle", "two pickles", "big-endian", "cut", "flip", "a size"]
)
def test_archives(ask, folder, damage):
    path, pickled = folder / "model.pt", state_dict(tensor((4,)))
    entries = [("a/data.pkl", pickled), ("a/data/0", FOUR["0"])]
    if damage == "bomb":  # 256 MB in 250 KB
        zeros = bytes(2**28)
        entries = [("a/data.pkl", state_dict(tensor((2**26,), numbers=2**26))), ("a/data/0", zeros)]
        zip_of(path, entries, zipfile.ZIP_DEFLATED)
    else:
        extra = {"two pickles": [("b/data.pkl", pickled)], "big-endian": [("a/byteorder", "big")]}
        zip_of(path, entries[damage == "no pickle" :] + extra.get(damage, []))
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    if damage == "a size":  # of 2 GB in the list of members
        content = content.replace(struct.pack("<II", 16, 16), struct.pack("<II", 2**31, 2**31))
        path.write_bytes(content)
    if damage == "flip":
        path.write_bytes(content.replace(FOUR["0"], FOUR["0"][:-1] + b"\x40"))
    said = {"bomb": "is compressed", "no pickle": "0 members", "two pickles": "2 members"}
    said |= {"big-endian": "little-endian", "cut": "no file of torch", "flip": "Bad CRC-32"}
    said["a size"] = "beyond the end"
    refused(ask("weights", path), f"model.pt is damaged.*{said[damage]}", folder)


def safetensors(header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def entry(shape, end, dtype="F32", start=0):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}}


SAFETENSORS = {
    "a header of 2 ** 60": struct.pack("<Q", 2**60),
    "deep nesting": safetensors(b"[" * 10**6),
    "no object": safetensors([1]),
    "an enormous shape": safetensors(entry([2**60, 2**60], 4), bytes(4)),
    "beyond the end": safetensors(entry([2**40], 2**42), bytes(4)),
    "backwards": safetensors(entry([1], 0, start=4), bytes(4)),
    "an unknown kind": safetensors(entry([1], 4, "F77"), bytes(4)),
    "negative": safetensors(entry([-1], 4), bytes(4)),
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_safetensors(ask, folder, name):
    path = folder / "model.safetensors"
    path.write_bytes(SAFETENSORS[name])
    refused(ask("weights", path), "model.safetensors is no complete safetensors file", folder)


INDICES = {
    "itself": ("model.safetensors.index.json", "is no name of a"),
    "a folder above": ("../secret.safetensors", "is no name of a"),
    "an absolute path": ("/secret.safetensors", "is no name of a"),
    "a pickle": ("model.bin", "is no name of a"),
    "a NUL": ("a\0.safetensors", "is no name of a"),
    "a number": (3, "is no index"),
}


@pytest.mark.parametrize("name", INDICES)
def test_indices(ask, folder, name):
    file, message = INDICES[name]
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": file}}))
    refused(ask("weights", index), message, folder)


def test_a_model_that_asks_for_code(ask, folder):
    code = {"auto_map": {"AutoModel": "evil.Model"}, "trust_remote_code": True}
    (folder / "config.json").write_text(json.dumps({"model_type": "clip"} | code))
    (folder / "evil.py").write_text(f"open({str(folder.parent / 'ran')!r}, 'w')")
    save_file({"a": np.ones(3)}, folder / "model.safetensors")
    refused(ask("model", folder), "config.json: .*auto_map", folder)
