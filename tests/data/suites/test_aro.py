import pytest

from kgclip_jax.data.suites.aro_relations import LEFT_OUT
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.triples import to_triples

LEFT, RIGHT = (0, 0, 10, 10), (10, 0, 10, 10)  # x, y, width, height


def case(name, box, true, false, **fields):
    x, y, width, height = box
    return {
        "image_path": name,
        "bbox_x": x,
        "bbox_y": y,
        "bbox_w": width,
        "bbox_h": height,
        "true_caption": true,
        "false_caption": false,
        **fields,
    }


# Entry n of a text is its score with the picture part that shows n.
SCORES = {
    "man left of tree": [5, 2, 1, 3],
    "tree left of man": [1, 4, 1, 3],
    "cup on table": [2, 2, 2, 2],
    "table on cup": [2, 2, 2, 2],
}
SIDES = ("man left of tree", "tree left of man")


def test_macro_mean_over_relations_of_cropped_pictures(world, answers):
    world.paint("1.jpg", 0, 1)
    world.paint("2.jpg", 2, 3)
    left = {"relation_name": "to the left of"}
    world.write(
        "vgr.json",
        [
            case("1.jpg", LEFT, *SIDES, **left),  # sees 0: 5 > 1
            case("1.jpg", RIGHT, *SIDES, **left),  # sees 1: 2 < 4
            case("1.jpg", LEFT, *SIDES, **left),
            case("1.jpg", LEFT, "cup on table", "table on cup", relation_name="on"),  # a tie
            case("2.jpg", LEFT, *SIDES, relation_name="with"),  # does not count
        ],
    )
    rows = answers(world.open("aro_relation", "vgr.json"), SCORES)
    seen = rows["relations, macro"]
    assert seen.value == pytest.approx((2 / 3 + 0) / 2)
    assert (seen.n, seen.chance) == (4, 0.5)
    micro, own = rows["relations, micro"], rows["to the left of"]
    assert (micro.value, micro.n) == (2 / 4, 4)
    assert (own.value, own.n) == (pytest.approx(2 / 3), 3)
    # All parts are of one picture, so there are no blind rows.
    assert [*rows] == ["relations, macro", "relations, micro", "on", "to the left of"]


def test_attribute_pairs_with_25_cases_and_all_of_them(world, answers):
    world.paint("1.jpg", 0, 1)
    often, once = {"attributes": ["big", "red"]}, {"attributes": ["red", "big"]}
    boxes = [LEFT] * 20 + [RIGHT] * 5
    cases = [case("1.jpg", box, *SIDES, **often) for box in boxes]
    world.write("vga.json", [*cases, case("1.jpg", LEFT, *SIDES[::-1], **once)])
    rows = answers(world.open("aro_attribution", "vga.json"), SCORES)
    official = rows["attribute pairs of 25 cases, macro"]
    every = rows["all attribute pairs, macro (Structure-CLIP)"]
    assert (official.value, official.n) == (pytest.approx(20 / 25), 25)
    assert (every.value, every.n) == (pytest.approx((20 / 25 + 0) / 2), 26)
    micro = rows["all attribute pairs, micro"]
    assert (micro.value, micro.n) == (pytest.approx(20 / 26), 26)
    assert (rows["big, red"].value, rows["big, red"].n) == (pytest.approx(20 / 25), 25)
    assert "red, big" not in rows  # it does not count for the authors


def test_one_case_less_does_not_count(world, answers):
    world.paint("1.jpg", 0, 1)
    cases = [case("1.jpg", LEFT, *SIDES, attributes=["big", "red"])] * 24
    world.write("vga.json", cases)
    rows = answers(world.open("aro_attribution", "vga.json"), SCORES)
    assert [row.value for row in rows.values()] == [1, 1]
    assert all(metric.startswith("all attribute pairs") for metric in rows)


def triples(text):
    return text if isinstance(text, str) else to_triples(text.graph, text.text)


def test_captions_have_the_scene_graphs_of_their_annotations(world):
    world.paint("1.jpg", 0, 1)
    cups = ("the metal shirt and the green cup", "the green shirt and the metal cup")
    ride = ("the man is riding the horse", "the horse is riding the man")
    shelf = ("the cups of tea", "the tea of cups")
    named = {"attributes": ["metal", "green"]}
    told = {"true_triples": [["shirt", "is", "metal"]], "false_triples": [["cup", "is", "metal"]]}
    world.write("a.json", [case("1.jpg", LEFT, *cups, **named)])
    world.write("b.json", [case("1.jpg", LEFT, *cups, **named, **told)])
    world.write(
        "c.json",
        [
            case("1.jpg", LEFT, *ride, relation_name="riding"),
            case("1.jpg", LEFT, *shelf, relation_name="on top of"),
        ],
    )
    found = [
        [triples(text) for text in world.open(kind, file).texts]
        for kind, file in (("aro_attribution", "a.json"), ("aro_attribution", "b.json"))
    ]
    assert found == [
        [
            [("shirt", "is", "metal"), ("cup", "is", "green")],
            [("shirt", "is", "green"), ("cup", "is", "metal")],
        ],
        [[("shirt", "is", "metal")], [("cup", "is", "metal")]],
    ]
    assert [triples(text) for text in world.open("aro_relation", "c.json").texts] == [
        [("man", "riding", "horse")],
        [("horse", "riding", "man")],
        *shelf,  # of another form: parsed, if a model reads graphs
    ]


def test_parts_of_one_picture_are_one_cluster(world):
    world.paint("1.jpg", 0, 1)
    world.paint("2.jpg", 2, 3)
    parts = [("1.jpg", LEFT), ("1.jpg", RIGHT), ("2.jpg", RIGHT)]
    world.write("vgr.json", [case(*part, *SIDES, relation_name="on") for part in parts])
    data = world.open("aro_relation", "vgr.json")
    clusters = data.questions[0].clusters
    assert len(data.pictures) == 3
    assert clusters[0] == clusters[1] != clusters[2]


def test_the_relations_that_do_not_count():
    assert len(LEFT_OUT) == 157
    assert {"with", "on the other side of", "wrapped in", "adjusting"} <= LEFT_OUT
    assert not LEFT_OUT & {"to the left of", "to the right of", "on", "in", "wearing", "above"}
    assert not any(name != name.strip() or "  " in name or "\n" in name for name in LEFT_OUT)


@pytest.mark.parametrize(
    ("kind", "broken", "message"),
    [
        ("aro_relation", {}, r"x\.json: \[1\] has no 'relation_name' of type str"),
        (
            "aro_relation",
            {"relation_name": "on", "bbox_w": "9"},
            r"\[1\] has no 'bbox_w' of type int or float",
        ),
        ("aro_attribution", {"attributes": ["red"]}, r"\[1\] needs two 'attributes'"),
        ("aro_attribution", {"attributes": ["red", 3]}, r"\[1\] needs two 'attributes'"),
    ],
)
def test_malformed_records_are_named(world, kind, broken, message):
    world.paint("1.jpg", 0, 1)
    good = case("1.jpg", LEFT, *SIDES, relation_name="on", attributes=["red", "big"])
    world.write("x.json", [good, case("1.jpg", LEFT, *SIDES) | broken])
    with pytest.raises(DataError, match=message):
        world.open(kind, "x.json")
