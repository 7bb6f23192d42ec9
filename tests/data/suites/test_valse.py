import pytest

from kgclip_jax.errors import DataError


def item(votes, caption="yes", foil="no", dataset="SWiG", file="a.jpg"):
    return {
        "dataset": dataset,
        "image_file": file,
        "caption": caption,
        "foil": foil,
        "mturk": {"foil": 3 - votes, "caption": votes, "other": 0},
    }


def test_only_validated_items_count(world, answers):
    world.paint("SWiG/a.jpg", 0)
    world.paint("coco_2017/a.jpg", 1)  # another picture of the same name
    items = {
        "0": item(3),  # right
        "1": item(2, "no", "yes"),  # wrong
        "2": item(1),
        "3": item(2, dataset="coco_2017"),  # wrong there
    }
    world.write("data/actant-swap.json", items)
    world.write("data/plurals.json", {"0": item(3)})
    world.write("data/existence.json", {"0": item(0)})  # nothing left
    rows = answers(world.open("valse", "data"), {"yes": [2, 0], "no": [1, 1]})
    seen = {metric: (row.value, row.n) for metric, row in rows.items() if not row.blind}
    assert seen == {
        "actant-swap": (pytest.approx(1 / 3), 3),
        "plurals": (1, 1),
        "mean of the 2": (pytest.approx((1 / 3 + 1) / 2), 4),
        "all decisions": (pytest.approx(2 / 4), 4),
    }


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"foil": ["no"]}, r"plurals\.json: \['0'\] has no 'foil' of type str"),
        ({"mturk": {"foil": 3}}, r"\['0'\]\['mturk'\] has no 'caption' of type int"),
        ({"mturk": None}, r"\['0'\] has no 'mturk' of type dict"),
    ],
)
def test_malformed_records_are_named(world, broken, message):
    world.write("data/plurals.json", {"0": item(3) | broken})
    with pytest.raises(DataError, match=message):
        world.open("valse", "data")


def test_nothing_to_ask(world):
    world.write("data/plurals.json", {"0": item(1)})
    with pytest.raises(DataError, match="data: no cases to ask about"):
        world.open("valse", "data")
