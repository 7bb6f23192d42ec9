"""Parsing nested mappings into dataclasses, and the errors that name the key."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

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
class Brush:
    kind: Literal["brush"] = "brush"
    width: float | Literal["auto"] = "auto"


@dataclass(frozen=True)
class Pencil:
    kind: Literal["pencil"] = "pencil"
    hard: bool = False


TOOLS = schema.Registry("tool", {"brush": f"{__name__}:Brush", "nib": "kgclip_jax.nowhere:Nib"})


@dataclass(frozen=True)
class Drawing:
    shapes: dict[str, Circle | Square]
    size: tuple[int, int] = (3, 4)
    tags: tuple[str, ...] = ()
    limit: float | None = None
    frame: Square = field(default_factory=lambda: Square("square"))
    tools: dict[str, Annotated[Any, TOOLS]] = field(default_factory=dict)
    first: Annotated[Any, TOOLS] | None = None
    paper: Circle | Brush | float = 1.0
    title: str | None = "untitled"
    signed: bool = False
    mode: Literal["fast", "slow", 2] = "fast"

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


def test_entries_of_a_registry_are_open_and_named_by_their_kind(monkeypatch):
    monkeypatch.setitem(TOOLS.places, "pencil", f"{__name__}:Pencil")
    tools = {"brush": {"width": 3}, "mine": {"kind": "pencil", "hard": True}, "other": Pencil()}
    drawing = schema.parse(Drawing, {"shapes": {}, "tools": tools, "first": {"kind": "brush"}})
    brush, mine = Brush(width=3.0), Pencil(hard=True)
    assert drawing.tools == {"brush": brush, "mine": mine, "other": Pencil()}
    assert drawing.first == Brush()
    values = json.loads(json.dumps(schema.to_dict(drawing)))
    assert values["tools"]["brush"] == {"kind": "brush", "width": 3.0}
    assert schema.parse(Drawing, values) == drawing


def test_entries_of_dicts_that_are_none_are_left_out():
    shapes = {"a": None, "b": {"kind": "circle"}}
    drawing = schema.parse(Drawing, {"shapes": shapes, "tools": {"brush": None}})
    assert (drawing.shapes, drawing.tools) == ({"b": Circle("circle")}, {})


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (2, 2.0),
        ({"kind": "circle"}, Circle("circle")),
        ({"width": 2.0}, Brush(width=2.0)),  # the one whose kind has a default
        (Brush(), Brush()),
    ],
)
def test_unions_of_sections_and_values(value, parsed):
    assert schema.parse(Drawing, {"shapes": {}, "paper": value}).paper == parsed


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("title", "5", "5"),
        ("title", "None", None),
        ("limit", "1e-3", 0.001),
        ("limit", "3", 3.0),
        ("limit", "None", None),
        ("signed", "true", True),
        ("signed", "False", False),
        ("mode", "slow", "slow"),
        ("mode", "2", 2),
        ("size", "8,9", (8, 9)),
        ("tags", "('x',)", ("x",)),
        ("frame", "{'kind': 'square', 'side': 3}", Square("square", 3)),
        ("shapes", "{'a': {'kind': 'circle'}, 'b': None}", {"a": Circle("circle")}),
        ("tools", "{'brush': {}}", {"brush": Brush()}),
        ("first", "{'kind': 'brush'}", Brush()),
        ("first", "None", None),
        ("paper", "0.5", 0.5),
        ("paper", "{'kind': 'circle'}", Circle("circle")),
    ],
)
def test_text_from_the_command_line_is_read_as_its_setting_wants(name, text, value):
    drawing = schema.parse(Drawing, {"shapes": {}, name: schema.Override(text)})
    assert getattr(drawing, name) == value
    assert type(getattr(drawing, name)) is type(value)


def test_text_from_the_command_line_within_sections():
    text = schema.Override
    shapes = {"a": {"kind": text("square"), "side": text("7")}, "b": text("None")}
    tools = {"brush": text("{}"), "mine": {"kind": text("brush"), "width": text("2")}}
    drawing = schema.parse(Drawing, {"shapes": shapes, "tools": tools})
    assert drawing.shapes == {"a": Square("square", 7)}
    assert drawing.tools == {"brush": Brush(), "mine": Brush(width=2.0)}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("limit", "much", r"config\.limit must be a float, not 'much'"),
        ("limit", "-inf", r"config\.limit must be finite in float32, not -inf"),
        ("signed", "1", r"config\.signed must be a bool, not '1'"),
        ("signed", "None", r"config\.signed must be a bool, not 'None'"),
        ("mode", "slo", r"config\.mode must be one of fast, slow, 2, not 'slo'"),
        ("size", "8", r"config\.size must be a tuple\[int, int\], not 8"),
        ("tags", "x y", r"config\.tags must be a tuple\[str, \.\.\.\], not 'x y'"),
        ("frame", "None", r"config\.frame must be a Square, not None"),
        ("tools", "{'brush': {'width': '2'}}", r"tools\.brush\.width must be .*, not '2'"),
        ("first", "brush", r"config\.first must hold the settings of one tool, not 'brush'"),
    ],
)
def test_text_that_cannot_be_read_is_refused_by_key(name, text, message):
    with pytest.raises(ConfigError, match=message):
        schema.parse(Drawing, {"shapes": {}, name: schema.Override(text)})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shapes": {}, "sizes": (1, 2)}, r"config\.sizes is no setting; did you mean size\?"),
        (
            {"shapes": {}, "zzz": 1},
            r"config\.zzz is no setting; known here: first, frame, limit, mode",
        ),
        ({}, r"config\.shapes is not set"),
        ({"shapes": {"a": {"kind": "cube"}}}, r"config\.shapes\.a\.kind must be one of circle, sq"),
        ({"shapes": {"a": {"kind": "square", "side": 1.5}}}, r"shapes\.a\.side must be a int"),
        ({"shapes": {}, "size": (1, 2, 3)}, r"config\.size must have 2 entries, not 3"),
        ({"shapes": {}, "tags": (1,)}, r"config\.tags\[0\] must be a str, not 1"),
        ({"shapes": {}, "limit": True}, r"config\.limit must be a float, not True"),
        ({"shapes": {}, "limit": -1.0}, r"config: limit must not be negative"),
        ({"shapes": {}, "frame": 3}, r"config\.frame must be a Square, not 3"),
        ({"shapes": {"a": 3}}, r"config\.shapes\.a must be a Circle or Square, not 3"),
        (
            {"shapes": {}, "paper": {"kind": "x"}},
            r"paper\.kind must be one of circle, brush, not 'x'",
        ),
        (
            {"shapes": {}, "paper": float("nan")},
            r"config\.paper must be finite in float32, not nan",
        ),
        ({"shapes": {}, "limit": float("inf")}, r"config\.limit must be finite in float32"),
        (
            {"shapes": {}, "first": {}},
            r"first\.kind: there is no tool of kind None; known here: br",
        ),
        (
            {"shapes": {}, "tools": {"brusj": {}}},
            r"tools\.brusj\.kind: there is no tool of kind 'brusj'; did you mean brush\?",
        ),
        (
            {"shapes": {}, "tools": {"a": {"kind": ["brush"]}}},
            r"tools\.a\.kind: there is no tool of kind \['brush'\]",
        ),
        ({"shapes": {}, "tools": {"a": Pencil()}}, r"no tool of kind 'pencil'"),
        (
            {"shapes": {}, "tools": {"brush": {"widt": 1.0}}},
            r"config\.tools\.brush\.widt is no set",
        ),
        ({"shapes": {}, "tools": {"brush": 3}}, r"brush must hold the settings of one tool, not 3"),
        (
            {"shapes": {}, "tools": {"brush": {"width": "broad"}}},
            r"tools\.brush\.width must be a float or 'auto', not 'broad'",
        ),
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
