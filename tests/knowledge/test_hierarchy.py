from pathlib import Path

import pytest

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.hierarchy import Hierarchy, read_hierarchy

KINDS = Hierarchy(
    {
        "dog": ["mammal", "pet"],
        "cat": ["mammal", "pet"],
        "puppy": ["dog", "pet"],
        "goldfish": ["fish", "pet"],
        "mammal": ["animal"],
        "fish": ["animal"],
        "animal": ["thing"],
        "thing": ["animal"],  # a cycle, as knowledge graphs have them
    }
)


@pytest.mark.parametrize(
    ("name", "siblings"),
    [
        ("dog", ("cat", "goldfish")),  # not "puppy", which is a dog
        ("puppy", ("cat", "goldfish")),
        ("mammal", ("fish",)),  # "thing" is above it
        ("car", ()),
        ("animal", ()),
    ],
)
def test_siblings_share_a_broader_name(name: str, siblings: tuple[str, ...]) -> None:
    assert KINDS.siblings(name) == siblings


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        ("dog", {"dog"}, True),
        ("dog", {"cat", "animal"}, True),
        ("animal", {"car", "puppy"}, True),
        ("dog", {"cat", "goldfish"}, False),
        ("car", {"car"}, True),
        ("car", {"dog"}, False),
        ("dog", set(), False),
    ],
)
def test_names_agree_along_the_order(name: str, others: set[str], expected: bool) -> None:
    assert KINDS.may_agree(name, others) is expected


def test_is_a_triples_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "graph.txt"
    lines = ("IsA\tdog\tanimal", "HasA\tdog\ttail", "is-a\tcat\tanimal\t1.0", "IsA\tdog\tdog")
    file.write_text("\n".join(lines) + "\n")
    hierarchy = read_hierarchy(file)
    assert hierarchy.siblings("dog") == ("cat",)
    assert hierarchy.may_agree("dog", {"animal"})
    assert not hierarchy.may_agree("dog", {"tail"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"IsA\tdog\tanimal\nIsA dog animal\n", r"graph\.txt, line 2: 'IsA dog animal' is not"),
        (b"HasA\tdog\ttail\n", "no triple has the relation IsA or is-a"),
        (b"\xff", "line 1: .* is not UTF-8"),
        (None, "No such file"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "graph.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_hierarchy(file)


def test_conceptnet_knows_animals_and_colours(shared_data: Path) -> None:
    hierarchy = read_hierarchy(shared_data / "kg" / "conceptnet100k" / "train.txt")
    assert {"cat", "horse", "rabbit"} <= set(hierarchy.siblings("dog"))
    assert {"blue", "green"} <= set(hierarchy.siblings("red"))
    assert hierarchy.may_agree("dog", {"animal"})
