"""Parsing nested mappings into dataclasses, and the errors that name the key."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from kgclip_jax import schema
from kgclip_jax.errors import ConfigError


@dataclass(frozen=True)
class Circle:
    kind: Literal["circle"]
    radius: float = 1.0


@dataclass(frozen=True)
class Square:
    kind: Literal["square"]
    side: int = 2


@dataclass(frozen=True)
class Drawing:
    shapes: dict[str, Circle | Square]
    size: tuple[int, int] = (3, 4)
    tags: tuple[str, ...] = ()
    limit: float | None = None
    frame: Square = field(default_factory=lambda: Square("square"))

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 0:
            raise ValueError("limit must not be negative")


def test_nested_values_become_dataclasses_and_come_back():
    values = {
        "shapes": {"a": {"kind": "circle", "radius": 2}, "b": {"kind": "square"}},
        "size": [5, 6],
        "tags": ["x", "y", "z"],
        "limit": 1,
    }
    drawing = schema.parse(Drawing, values)
    assert drawing == Drawing(
        {"a": Circle("circle", 2.0), "b": Square("square")}, (5, 6), ("x", "y", "z"), 1.0
    )
    assert schema.parse(Drawing, schema.to_dict(drawing)) == drawing


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shapes": {}, "sizes": (1, 2)}, r"config\.sizes is no setting; did you mean size\?"),
        ({"shapes": {}, "zzz": 1}, r"config\.zzz is no setting; known here: frame, limit"),
        ({}, r"config\.shapes is not set"),
        ({"shapes": {"a": {"kind": "cube"}}}, r"config\.shapes\.a\.kind must be one of circle, sq"),
        ({"shapes": {"a": {"kind": "square", "side": 1.5}}}, r"shapes\.a\.side must be a int"),
        ({"shapes": {}, "size": (1, 2, 3)}, r"config\.size must have 2 entries, not 3"),
        ({"shapes": {}, "tags": (1,)}, r"config\.tags\[0\] must be a str, not 1"),
        ({"shapes": {}, "limit": True}, r"config\.limit must be a float, not True"),
        ({"shapes": {}, "limit": -1.0}, r"config: limit must not be negative"),
        ({"shapes": {}, "frame": 3}, r"config\.frame must be a Square, not 3"),
    ],
)
def test_bad_values_are_refused_by_key(values, message):
    with pytest.raises(ConfigError, match=message):
        schema.parse(Drawing, values)


def test_differences_name_the_leaves_and_see_no_change_in_json():
    old = {"a": {"b": 1, "c": (1, 2)}, "d": 0}
    assert list(schema.differences(old, {"a": {"b": 1, "c": [1, 2]}, "d": 0})) == []
    new = {"a": {"b": 2, "c": (1, 2)}, "e": 5}
    assert list(schema.differences(old, new)) == [
        ("a.b", 1, 2),
        ("d", 0, "(absent)"),
        ("e", "(absent)", 5),
    ]
