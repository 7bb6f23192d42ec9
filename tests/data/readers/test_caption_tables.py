import csv
import io

import pytest

from kgclip_jax.data.readers.caption_tables import Columns, read_table
from kgclip_jax.errors import DataError
from tests.torchvision_operators import make_torchvision_importable

USUAL = Columns()
TWO = {"a.jpg": ["a cat", "it, too"], "b.jpg": ['a "big" dog']}


def write(folder, content, name="table.csv"):
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", 'image,caption\na.jpg,a cat\na.jpg,"it, too"\nb.jpg,"a ""big"" dog"\n'),
        ("x.csv", 'id,title,Filepath\n1,a cat,a.jpg\n2,"it, too",a.jpg\n3,a "big" dog,b.jpg\n'),
        ("x.tsv", 'filepath\ttitle\r\na.jpg\ta cat\r\na.jpg\tit, too\r\nb.jpg\ta "big" dog'),
        (
            "x.csv",
            "image_name| comment_number| comment\na.jpg| 0| a cat\na.jpg| 1| it, too\n\n"
            'b.jpg| 0| a "big" dog\n',
        ),
        ("x.txt", 'a.jpg#0\ta cat\na.jpg#1\tit, too\nb.jpg#0\ta "big" dog\n\n'),
        (
            "x.jsonl",
            '{"file_name": "a.jpg", "text": ["a cat", "it, too"]}\n\n'
            '{"text": "a \\"big\\" dog", "n": 1, "file_name": "b.jpg"}\n',
        ),
    ],
    ids=["csv", "named columns", "tabs", "bars", "token", "json lines"],
)
def test_every_dialect(tmp_path, name, content):
    assert read_table(write(tmp_path, content, name), USUAL) == TWO


def test_columns_can_be_named(tmp_path):
    path = write(tmp_path, "image,path,caption,title\n1,a.jpg,long,short\n")
    assert read_table(path, Columns("path", "Title")) == {"a.jpg": ["short"]}
    with pytest.raises(DataError, match=r"'image', 'path' may be meant; set image_column to one"):
        read_table(path, USUAL)
    with pytest.raises(DataError, match=r"'caption', 'title' may be meant; set caption_column"):
        read_table(path, Columns("path"))
    with pytest.raises(DataError, match=r"line 1: expected a column of pictures \('photo'\)"):
        read_table(path, Columns("photo"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "a.jpg,a cat\n", "line 1: expected a column of pictures"),  # no header
        ("x.csv", "", "line 1: expected a column"),
        ("x.csv", "image| comment\na.jpg| 4   a dog\nb.jpg 4 a dog\n", r"line 3: 1 fields"),
        ("x.tsv", 'image\ttext\na.jpg\t"a" dog\n', "line 2: not valid CSV"),
        ("x.txt", "a.jpg#0\ta\nb.jpg a\n", "line 2: expected PICTURE#NUMBER, a tab"),
        ("x.jsonl", '{"image": "a.jpg", "text": "x"}\n{"image"', r"line 2, column \d+: not valid"),
        ("x.jsonl", '{"image": "a.jpg"}', "line 1: expected a column .*, got 'image'"),
        ("x.jsonl", "[1]", "line 1: expected an object"),
        ("x.jsonl", '{"image": "a.jpg", "text": [1]}', "line 1: expected the name of a picture"),
        ("x.jsonl", '{"image": 7, "text": "x"}', "line 1: expected the name of a picture"),
    ],
)
def test_what_is_malformed_is_refused_by_line(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, content, name), USUAL)


def test_open_clip_reads_the_same_file_alike(tmp_path):
    """By its own `CsvDataset`. pandas takes some words for missing numbers: it trains on "nan"."""
    for needed in ("pandas", "webdataset", "braceexpand"):  # by open_clip's training alone
        pytest.importorskip(needed)
    make_torchvision_importable()
    theirs = pytest.importorskip("open_clip_train.data")
    captions = ["a cat", "it, too", '"quoted" at the start', "été 猫", "two\nlines", " 5", "'tis"]
    rows = io.StringIO(newline="")
    table = csv.writer(rows, delimiter="\t", lineterminator="\r\n")
    names = [f"{number % 3}.png" for number in range(len(captions))]
    table.writerows([("filepath", "title"), *zip(names, captions, strict=True)])
    table.writerow(("3.png", "null"))
    path = write(tmp_path, rows.getvalue(), "train.tsv")
    read = theirs.CsvDataset(str(path), None, "filepath", "title")
    assert (read.images, read.captions[:-1]) == ([*names, "3.png"], captions)
    assert str(read.captions[-1]) == "nan"
    ours = read_table(path, USUAL)
    assert ours.pop("3.png") == ["null"]
    assert ours == {name: captions[number::3] for number, name in enumerate(names[:3])}
