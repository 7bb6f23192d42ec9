import pytest

from kgclip_jax.errors import DataError


def item(number, suffix=""):
    return {
        "id": number,
        "image_0": f"ex_{number}_img_0{suffix}",
        "image_1": f"ex_{number}_img_1{suffix}",
        "caption_0": f"{number} first",
        "caption_1": f"{number} second",
        "tag": "Object",
    }


@pytest.fixture
def three_items(world):
    for number in range(3):
        for side in range(2):
            world.paint(f"ex_{number}_img_{side}.png", 2 * number + side)
    items = [item(0), item(1, ".png"), item(2)]
    world.write_lines("examples.jsonl", items)
    return world.open("winoground", "examples.jsonl")


def test_text_image_and_group_score(three_items, answers):
    scores = {
        "0 first": [4, 2, 0, 0, 0, 0],  # c0: i0 4, i1 2; c1: i0 1, i1 3: all right
        "0 second": [1, 3, 0, 0, 0, 0],
        "1 first": [0, 0, 3, 4, 0, 0],  # c0: 3, 4; c1: 2, 5: texts right, picture of c0 wrong
        "1 second": [0, 0, 2, 5, 0, 0],
        "2 first": [0, 0, 0, 0, 3, 1],  # c0: 3, 1; c1: 4, 5: pictures right, text of i0 wrong
        "2 second": [0, 0, 0, 0, 4, 5],
    }
    rows = answers(three_items, scores)
    values = {metric: row.value for metric, row in rows.items()}
    assert values == {
        "text": pytest.approx(2 / 3),
        "text, blind": 0,
        "image": pytest.approx(2 / 3),
        "image, blind": 0,
        "group": pytest.approx(1 / 3),
        "group, blind": 0,
    }
    chances = {metric: row.chance for metric, row in rows.items() if not row.blind}
    assert chances == {"text": 1 / 4, "image": 1 / 4, "group": 1 / 6}
    assert {row.n for row in rows.values()} == {3}


def test_malformed_lines_are_named(world):
    world.write_lines("examples.jsonl", [item(0), {"image_0": "x"}])
    with pytest.raises(DataError, match=r"examples\.jsonl: line 2 has no 'image_1' of type str"):
        world.open("winoground", "examples.jsonl")
    (world.root / "examples.jsonl").write_text('\n{"id": 0,\n')
    with pytest.raises(DataError, match=r"examples\.jsonl, line 2, column 10: not valid JSON"):
        world.open("winoground", "examples.jsonl")
    with pytest.raises(DataError, match=r"test\.jsonl: no such file; get it from .*winoground"):
        world.open("winoground", "test.jsonl")
