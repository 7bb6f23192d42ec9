"""Files that were made to do harm: each is refused in clear words, or read as what it is.

All readers keep within seconds and a gigabyte, open nothing outside the folder they were given, and
start nothing: see `cage`.
"""

import io
import json
import os
import pickle
import pickletools
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from tests.convert.small_models import word_tokenizer

ROOT = Path(__file__).parents[2]
NOISE = np.random.default_rng(0).bytes(10240)


@pytest.fixture(scope="module")
def ask():
    """Hand a path to a reader in the cage; returns its answer."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.cage"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "RUST_BACKTRACE": "0"},
    )

    def ask(reader, path):
        process.stdin.write(json.dumps({"reader": reader, "path": str(path)}) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:
        yield ask
        process.stdin.close()


def refused(answer, message, folder):
    """See that a file was refused in words, and that nothing was run or read beside the folder."""
    assert answer["outcome"] == "refused", answer["message"]
    assert re.search(message, answer["message"]), answer["message"]
    assert len(answer["message"]) < 2000
    harmless(answer, folder)


def harmless(answer, folder):
    assert answer["outcome"] in ("read", "refused"), answer["message"]
    assert not answer["opened"]
    assert not (folder.parent / "ran").exists()


@pytest.fixture
def folder(tmp_path):
    """A folder to put harm into, with a secret beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    (tmp_path / "secret.json").write_text('{"model": {}}')
    save_file({"a": np.ones(3)}, tmp_path / "secret.safetensors")
    return folder


# Weights


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


def in_an_old_file(pickled):
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001)]
    return b"".join([*head, pickle.dumps({"little_endian": True}, 2), pickled])


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


@pytest.mark.parametrize("form", ["archive", "old", "bare"])
@pytest.mark.parametrize("name", PICKLES)
def test_pickles(ask, folder, name, form):
    content, message = PICKLES[name]
    content = content(folder) if callable(content) else content
    path = folder / "model.pt"
    if form == "archive":
        archive(path, content, FOUR)
    else:
        path.write_bytes(in_an_old_file(content) if form == "old" else content)
        message = f"{message}|damaged"  # no storages follow
    refused(ask("weights", path), f"model.pt.*({message})", folder)


def zip_of(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries:
            file.writestr(name, content)


@pytest.mark.parametrize(
    "damage", ["bomb", "no pickle", "two pickles", "big-endian", "cut", "flip"]
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
    if damage == "flip":
        path.write_bytes(content.replace(FOUR["0"], FOUR["0"][:-1] + b"\x40"))
    said = {"bomb": "is compressed", "no pickle": "0 members", "two pickles": "2 members"}
    said |= {"big-endian": "little-endian", "cut": "no file of torch", "flip": "Bad CRC-32"}
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
    "a NUL": ("a\0.safetensors", "model.safetensors.index.json|no complete"),
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


# JSON and tokenizers

JSONS = {
    "deep nesting": ("[" * 10**6, "nested too deeply|not valid JSON"),
    "a number of digits": ('{"a": ' + "9" * 10**6 + "}", "a number of 1000000 digits"),
    "a list": ("[1]", "expected a JSON object"),
    "half a file": ('{"a": "', "not valid JSON"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "NUL": ('{"a": "\0"}', "NUL"),
    "nothing": ("", "not valid JSON"),
}
READ_AS_JSON = {"json": "a.json", "manifest": "manifest.json", "tokenizer": "tokenizer.json"}


@pytest.mark.parametrize("name", JSONS)
@pytest.mark.parametrize("reader", READ_AS_JSON)
def test_json(ask, folder, name, reader):
    content, message = JSONS[name]
    path = folder / READ_AS_JSON[reader]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = f"{path.name}.*({message}|has no object 'model')" if reader != "manifest" else ""
    refused(ask(reader, path if reader == "json" else folder), message, folder)


def test_json_with_a_million_keys_is_read(ask, folder):
    (folder / "a.json").write_text(json.dumps({str(number): 0 for number in range(10**5)}))
    harmless(ask("json", folder / "a.json"), folder)


def words(folder):
    word_tokenizer(folder)
    return json.loads((folder / "words.json").read_text())


TOKENIZERS = {
    "a model of no kind": lambda t: t | {"model": {"type": "Evil"}},
    "a template without its token": lambda t: t["post_processor"] | {"special_tokens": {}},
    "an end that is not there": lambda t: t["post_processor"]["special_tokens"].clear() or t,
    "ids of 2 ** 40": lambda t: t["model"]["vocab"].update(a=2**40) or t,
    "a pattern without end": lambda t: (
        t
        | {
            "pre_tokenizer": {
                "type": "Split",
                "pattern": {"Regex": "(a*)*(" * 5000},
                "behavior": "Isolated",
                "invert": False,
            }
        }
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers(ask, folder, name):
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZERS[name](words(folder))))
    (folder / "words.json").unlink()
    refused(ask("tokenizer", folder), "tokenizer.json", folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x0a" + b"\xff" * 100, b"\x0a" + b"\xff" * 9 + b"\x01", NOISE[:1000]],
    ids=["empty", "a number without end", "a length of 2 ** 63", "noise"],
)
def test_sentencepiece_models(ask, folder, content):
    (folder / "spiece.model").write_bytes(content)
    refused(ask("tokenizer", folder), "spiece.model: not a", folder)


# Pictures


def picture(kind, size=(8, 8), **options):
    file = io.BytesIO()
    Image.new("RGB", size, (200, 30, 60)).save(file, kind, **options)
    return file.getvalue()


def jpeg():
    return picture("JPEG")


def png(width, height, rows):
    """A PNG that says how large it is, around any compressed rows."""

    def chunk(kind, content):
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    )


def text_bomb():
    """A PNG with a compressed text of 256 MB."""
    text = b"iTXta\0\1\0\0\0" + zlib.compress(bytes(2**28), 9)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    whole = picture("PNG")
    return whole[:33] + chunk + whole[33:]


PICTURES = {
    "nothing": b"",
    "a page": b"<html><script>alert(1)</script></html>",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(ran) (w) file\n",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "half a JPEG": jpeg()[:200],
    "a JPEG of 65500 x 65500": re.sub(
        rb"(\xff\xc0..\x08)....", lambda m: m[1] + struct.pack(">HH", 65500, 65500), jpeg()
    ),
    "a PNG of 2 ** 30 pixels": png(2**15, 2**15, zlib.compress(bytes(2**20))),
    "a PNG of 2 ** 31 columns": png(2**31 - 1, 1, zlib.compress(bytes(2**20))),
    "a PNG without rows": png(0, 0, b""),
    "noise in a PNG": png(64, 64, NOISE[:100]),
    "a GIF of 65535 x 65535": b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",;",
    "a WebP that says 2 ** 32 bytes": b"RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff/"
    + b"\xff" * 99,
    "a TIFF in a circle": b"II*\0\x08\0\0\0\x00\0\x08\0\0\0",
    "a pickle": pickle.dumps({"a": 1}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(ask, folder, name):
    path = folder / "a.jpg"
    path.write_bytes(PICTURES[name])
    refused(ask("picture", path), "", folder)


def test_a_text_in_a_picture_is_not_unpacked(ask, folder):
    path = folder / "a.png"
    path.write_bytes(text_bomb())
    harmless(ask("picture", path), folder)


# Data sets


def listed(folder, *files):
    lines = ["image,caption", *(f"{file},a dog" for file in ("a.jpg", *files))]
    (folder / "captions.txt").write_text("\n".join(lines))
    (folder / "images").mkdir()
    (folder / "images" / "a.jpg").write_bytes(jpeg())


def test_pictures_elsewhere_are_skipped(ask, folder):
    listed(folder, "../../secret.jpg", str(folder.parent / "secret.jpg"), "b/../../../secret.jpg")
    answer = ask("photographs", folder)
    harmless(answer, folder)
    assert answer["message"] == f"[{len(jpeg())}]"
    (folder / "captions.txt").write_text("image,caption\n../../secret.jpg,a dog\n")
    refused(ask("photographs", folder), "picture outside of the folder: 1 of 1", folder)


@pytest.mark.parametrize(
    "content",
    [
        b"image,caption\n" + b'"' * 10**6,
        b"image,caption\na.jpg,\xff\n",
        b"image,caption\na.jpg,\0\n",
        b"image,caption\n" + b"a," * 10**6,
        b"",
    ],
    ids=["quotes", "Latin 1", "NUL", "columns", "empty"],
)
def test_lists_of_captions(ask, folder, content):
    (folder / "a.jpg").write_bytes(jpeg())
    (folder / "captions.txt").write_bytes(content)
    refused(ask("photographs", folder), "captions.txt|no usable pictures in", folder)


def member(name, content=b"", **options):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in options.items():
        setattr(info, key, value)
    return info, io.BytesIO(content)


GOOD = (("a.jpg", jpeg()), ("a.txt", b"a dog"))
LINK = {"linkname": "../secret.jpg"}
TARS = {
    "a path above": [member("../secret.jpg", jpeg()), member("../secret.txt", b"a cat")],
    "an absolute path": [member("/secret.jpg", jpeg()), member("/secret.txt", b"a cat")],
    "a link": [member("b.jpg", type=tarfile.SYMTYPE, **LINK), member("b.txt", b"a cat")],
    "a hard link": [member("b.jpg", type=tarfile.LNKTYPE, **LINK), member("b.txt", b"a cat")],
    "a device": [member("b.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=5)],
    "captions of 2 MB": [member("b.jpg", jpeg()), member("b.txt", b"a" * 2**21)],
    "deep captions": [member("b.jpg", jpeg()), member("b.json", b"[" * 10**5)],
    "a size of digits": [member("b.jpg", jpeg(), pax_headers={"size": "9" * 5000})],
    "a size below zero": [member("b.jpg", jpeg(), pax_headers={"size": "-512"})],
    "a size of 2 ** 60": [member("b.jpg", jpeg(), pax_headers={"size": str(2**60)})],
}


@pytest.mark.parametrize("name", TARS)
def test_tars(ask, folder, name):
    """What is whole in them is read, the rest is counted."""
    path = folder / "00000.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in [member(*each) for each in GOOD] + TARS[name]:
            archive.addfile(info, content)
    harmless(ask("tar", path), folder)


@pytest.mark.parametrize(
    "content",
    [b"", bytes(10240), NOISE, NOISE[:511], jpeg()],
    ids=["empty", "zeros", "noise", "less than a block", "a picture"],
)
def test_what_is_no_tar(ask, folder, content):
    path = folder / "00000.tar"
    path.write_bytes(content)
    refused(ask("tar", path), "00000.tar|folder", folder)
