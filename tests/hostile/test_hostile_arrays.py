"""Shards, NumPy files and tables made to do harm: each is refused in clear words, or skipped.

All readers keep within seconds and a gigabyte, open nothing outside the folder they were given, and
start nothing: see `cage`.
"""

import io
import json
import pickle
import zipfile
import zlib

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from kgclip_jax.data.readers.array_records import pack_record
from kgclip_jax.knowledge.graph_record import pack
from kgclip_jax.knowledge.graph_store import Contents, complete
from kgclip_jax.knowledge.scene_graph import SceneGraph
from tests.hostile.verdicts import NOISE, harmless, jpeg, refused


def shard(folder, *records, options="group_size:1,uncompressed"):
    path = folder / "a.arrayrecord"
    writer = ArrayRecordWriter(str(path), options)
    for record in records:
        writer.write(record)
    writer.close()
    return path.read_bytes()


def manifest(folder, file, **more):
    """Write what belongs to a shard of one picture, but for some fields."""
    path = folder / file
    size = path.stat().st_size if path.is_file() else 0
    fields = {"file": file, "records": 1, "bytes": size, "sha256": ""} | more
    totals = {name: fields[name] for name in ("records", "bytes")}
    content = {"settings": {}, "shards": [fields], "skipped": {}, **totals}
    (folder / "manifest.json").write_text(json.dumps(content))


def whole(folder):
    return shard(folder, *pack_record("a.jpg", ["a dog"], jpeg()))


SHARDS = {
    "nothing": lambda folder: b"",
    "noise": lambda folder: NOISE,
    "half of one": lambda folder: whole(folder)[: len(whole(folder)) // 2],
    "zeros within": lambda folder: whole(folder)[:64] + bytes(len(whole(folder)) - 64),
    "a picture": lambda folder: jpeg(),
}


@pytest.mark.parametrize("name", SHARDS)
def test_what_is_no_shard(ask, folder, name):
    (folder / "a.arrayrecord").write_bytes(SHARDS[name](folder))
    manifest(folder, "a.arrayrecord")
    answer = ask("shards", folder)
    refused(answer, "a.arrayrecord: not a whole ArrayRecord file", folder)


@pytest.mark.parametrize("place", range(0, 65536 * 3, 8191))
def test_a_broken_shard_is_refused_or_its_records_are_counted(ask, folder, place):
    content = bytearray(whole(folder))
    content[place % len(content)] ^= 0xFF
    (folder / "a.arrayrecord").write_bytes(content)
    manifest(folder, "a.arrayrecord")
    harmless(ask("shards", folder), folder)


@pytest.mark.parametrize("text", [b"", b"[" * 10**6, b'{"key": "a", "captions": [' + b"9" * 10**6])
def test_records_that_say_nothing_are_skipped(ask, folder, text):
    shard(folder, text, jpeg())
    manifest(folder, "a.arrayrecord")
    answer = ask("shards", folder)
    harmless(answer, folder)
    assert "record 0: " in answer["message"]


@pytest.mark.parametrize(
    "file", ["..", ".", "", "../secret.jpg", "/etc/passwd", "a\0b", "\ud800", "b/../../secret.jpg"]
)
def test_shards_elsewhere_are_refused(ask, folder, file):
    whole(folder)
    (folder / "manifest.json").write_text("")
    manifest(folder, file)
    refused(ask("shards", folder), "must be a plain name", folder)


@pytest.mark.parametrize("fields", [{"records": 2**62}, {"bytes": 2**62}, {"records": -1}], ids=str)
def test_counts_that_are_not_so(ask, folder, fields):
    whole(folder)
    manifest(folder, "a.arrayrecord", **fields)
    refused(ask("shards", folder), "manifest", folder)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text, version=b"\x01\x00"):
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text


def described(descr="'<i4'", shape="(4, 1)"):
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode())


def pickled():
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    return file.getvalue()


ARRAYS = {
    "nothing": b"",
    "noise": NOISE,
    "a pickle": pickle.dumps([1]),
    "a pickle within": pickled(),
    "a header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 100,
    "a header that nests": header(b"(" * 9000),
    "a header in a newer way": header(b"[" * 9000, b"\x03\x00"),
    "a header that calls": header(b"__import__('os').system('touch ../ran')"),
    "2 ** 40 rows": described(shape="(1099511627776, 1)"),
    "2 ** 70 rows": described(shape="(1180591620717411303424, 1)"),
    "-1 rows": described(shape="(-1, 1)"),
    "rows of 2 ** 31 letters": described(descr="'<U536870911'"),
    "fields of fields": described(descr="[('a', " * 50 + "'<i4'" + ")]" * 50),
    "half of an array": npy(np.zeros((4, 1), np.int32))[:-5],
    "something compressed": zlib.compress(bytes(2**20)),
}
INDEXED = {"listed": "a.npy", "neighbours": "a.npy", "graphs": "graphs.npy", "split": "heads.npy"}


def graphs_of_a_record(folder):
    """Write a folder of graphs, but for its index. Returns the hash of the key."""
    stored = pack("a.jpg", ["a dog"], [SceneGraph(())])
    (folder / "graphs-00000-of-00001.bin").write_bytes(stored)
    complete(folder, Contents({}, 1, 1, 1, 0, 0, 0, 0, {}))
    return np.load(folder / "graphs.npy")[0, 0]


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("reader", INDEXED)
def test_arrays(ask, folder, reader, name):
    graphs_of_a_record(folder)
    path = folder / INDEXED[reader]
    path.write_bytes(ARRAYS[name])
    given = path if reader in ("listed", "neighbours") else folder
    refused(ask(reader, given), path.name, folder)


@pytest.mark.parametrize("place", [(0, 0, 2**63), (2**63, 0, 9), (0, 9, 1), (0, 3, 9)])
def test_an_index_that_leads_elsewhere(ask, folder, place):
    """To another part, beyond its end, backwards, into the midst of a line."""
    numbers = [[graphs_of_a_record(folder)], *([number] for number in place)]
    np.save(folder / "graphs.npy", np.array(numbers, np.uint64))
    answer = ask("graphs", folder)
    if place[-1] == 2**63:
        assert answer["message"] == "SceneGraph(objects=(), relations=())"  # as far as it goes
        harmless(answer, folder)
    else:
        refused(answer, "graphs-.*make the graphs again", folder)


def archive(folder, **members):
    path = folder / "evaluation.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


ARCHIVES = {
    "a pickle": {"rows.npy": pickled()},
    "a bomb": {"rows.npy": described(descr="'<U268435456'", shape="(8,)") + bytes(2**20)},
    "a path above": {"../../ran": b"", "rows.npy": npy(np.array("[]"))},
    "no arrays": {"rows.npy": npy(np.array('[["a", "b", "c", false]]'))},
    "rows of no kind": {"rows.npy": npy(np.array('[["a"], 3]'))},
    "deep rows": {"rows.npy": npy(np.array("[" * 10**5))},
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_of_arrays(ask, folder, name):
    path = archive(folder, **ARCHIVES[name])
    answer = ask("outcomes", path)
    if name == "a path above":
        assert answer["message"] == "{}"
        harmless(answer, folder)
    else:
        refused(answer, "evaluation.npz is damaged", folder)


@pytest.mark.parametrize("content", [b"", NOISE, b"PK\x05\x06" + b"\xff" * 18], ids=len)
def test_what_is_no_archive(ask, folder, content):
    (folder / "evaluation.npz").write_bytes(content)
    refused(ask("outcomes", folder / "evaluation.npz"), "evaluation.npz is damaged", folder)


TABLES = {
    "code": "__import__('os').system('touch ../ran')",
    "deep nesting": "[" * 10**5,
    "a deep sum": "+".join("1" * 10**4),
    "a number of digits": "[" + "9" * 10**5 + "]",
    "a power": "[9 ** 9 ** 9]",
    "2 MB": "['" + "a" * 2**21 + "']",
    "no strings": "[1, None]",
    "a set that is not there": "set()",
    "NUL": "['\0']",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_wrong_captions(ask, folder, name):
    path = folder / "a.tsv"
    path.write_text(f"title\tfilepath\tneg_caption\na dog\ta.jpg\t{TABLES[name]}\n")
    answer = ask("listed", path)
    if name == "NUL":
        harmless(answer, folder)
    else:
        refused(answer, "a.tsv", folder)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b'title\tneg_caption\n"' + b"a\n" * 10**6, b"\0"]
)
def test_what_is_no_table(ask, folder, content):
    (folder / "a.tsv").write_bytes(content)
    answer = ask("listed", folder / "a.tsv")
    harmless(answer, folder)


OUTSIDE = ("../../secret.jpg", "../secret.jpg", "b/../../secret.jpg", "a.jpg\0", "\ud800.jpg")


# TSV, lines of JSON, Karpathy's and COCO's JSON
LISTS = ("captions.tsv", "metadata.jsonl", "dataset.json", "captions_train.json")


def lists_of(folder):
    """The same pictures in each form of a list that names files."""
    files = [*OUTSIDE, str(folder.parent / "secret.jpg"), "a.jpg"]
    rows = "".join(f"{file}\ta dog\n" for file in files if file.isprintable())
    lines = [json.dumps({"file_name": file, "text": "a dog"}) for file in files]
    images = [
        {"filename": file, "split": "train", "sentences": [{"raw": "a dog"}]} for file in files
    ]
    apart = [{"filepath": "..", "filename": "secret.jpg", "split": "train", "sentences": []}]
    annotations = [{"image_id": number, "caption": "a dog"} for number in range(len(files))]
    numbered = [{"id": number, "file_name": file} for number, file in enumerate(files)]
    return {
        "captions.tsv": "filepath\ttitle\n" + rows,
        "metadata.jsonl": "\n".join(lines),
        "dataset.json": json.dumps({"images": images + apart}),
        "captions_train.json": json.dumps({"images": numbered, "annotations": annotations}),
    }


@pytest.mark.parametrize("name", LISTS)
def test_no_list_leads_out_of_the_folder(ask, folder, name):
    (folder / name).write_text(lists_of(folder)[name])
    (folder / "a.jpg").write_bytes(jpeg())
    answer = ask("karpathy" if name == "dataset.json" else "listing", folder / name)
    harmless(answer, folder)
    assert answer["message"] == f"[{len(jpeg())}]"
