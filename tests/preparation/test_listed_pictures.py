"""Similar pictures of NegCLIP's list, found among records by their file names."""

import numpy as np
import pytest

from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.preparation.listed_pictures import store_listed
from tests.data.readers.layouts import drawn

HEADER = "title\tfilepath\tneg_caption\tneg_image"


@pytest.fixture
def album(tmp_path):
    lines = ["image,caption"]
    for number, picture in enumerate(drawn(5)):
        (tmp_path / f"{number}.png").write_bytes(picture.content)
        lines.append(f"{number}.png,a picture")
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    return tmp_path


def store(album, rows, output="near.npy", header=HEADER):
    listing = album / "list.tsv"
    listing.write_text("\n".join([header, *("\t".join(row) for row in rows)]), encoding="utf-8")
    found = store_listed(open_folder(album, None), listing, album / output, bad_share=0.0)
    return found, np.load(album / output).tolist()


def row(picture, *similar):
    return ("a", f"/theirs/train/{picture}.png", "['b']", str([f"/x/{n}.png" for n in similar]))


def test_pictures_are_found_by_their_names_whatever_folder_the_authors_had(album):
    found, rows = store(album, [row(0, 3, 1, 2), row(4, 0), row(0, 4), row(2), row(9, 0)])
    assert found == (5, 2, 1)
    assert rows == [[3, 1, 2, 4], [-1] * 4, [-1] * 4, [-1] * 4, [0] * 4]


def test_a_picture_is_not_similar_to_itself_nor_to_one_that_is_not_there(album):
    found, rows = store(album, [row(1, 1, 7, 2, 2)])
    assert found == (5, 1, 1)
    assert rows[1] == [2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(9, 8)], "no picture of .* has a similar one there"),
        ([("a", "0.png", "['b']", "1.png")], "line 2.neg_image is not a list of strings"),
        ([("a", "0.png")], "line 2"),
    ],
)
def test_a_list_that_says_nothing_is_refused_and_leaves_no_file(album, rows, message):
    with pytest.raises(DataError, match=message):
        store(album, rows)
    assert not (album / "near.npy").exists()


def test_a_list_without_pictures_names_the_column(album):
    with pytest.raises(DataError, match="neg_image"):
        store(album, [("a", "0.png", "['b']")], header="title\tfilepath\tneg_caption")


def test_two_pictures_of_one_name_are_refused(album):
    (album / "more").mkdir()
    (album / "more" / "0.png").write_bytes((album / "0.png").read_bytes())
    with (album / "captions.txt").open("a") as file:
        file.write("\nmore/0.png,another")
    with pytest.raises(DataError, match=r"2 pictures are called 0\.png"):
        store(album, [row(0, 1)])


def test_a_file_of_neighbours_is_called_so(album):
    with pytest.raises(ConfigError, match=r"must end in \.npy"):
        store(album, [row(0, 1)], output="near.txt")
