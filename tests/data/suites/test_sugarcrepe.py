import pytest

from kgclip_jax.errors import DataError

KINDS = (
    "add_att",
    "add_obj",
    "replace_att",
    "replace_obj",
    "replace_rel",
    "swap_att",
    "swap_obj",
)


def test_a_row_for_each_of_seven_and_their_mean(world, answers):
    world.paint("a.jpg", 0)
    world.paint("b.jpg", 1)
    scores = {"true": [2, 1], "false": [1, 2]}  # right on a, wrong on b
    for number, kind in enumerate(KINDS):
        cases = {
            str(index * 3): {
                "filename": "a.jpg" if index < number else "b.jpg",
                "caption": "true",
                "negative_caption": "false",
            }
            for index in range(6)
        }
        world.write(f"data/{kind}.json", cases)
    rows = answers(world.open("sugarcrepe", "data"), scores)
    seen = {metric: row for metric, row in rows.items() if not row.blind}
    assert list(seen) == [*KINDS, "mean of the 7", "all decisions"]
    assert [row.value for row in list(seen.values())[:7]] == [n / 6 for n in range(7)]
    assert seen["mean of the 7"].value == pytest.approx(1 / 2)
    assert [row.n for row in seen.values()] == [6] * 7 + [42, 42]
    # With the pictures exchanged; the first and the last kind have one picture alone.
    blind = {metric: row.value for metric, row in rows.items() if row.blind}
    assert [*blind] == [f"{metric}, blind" for metric in [*list(seen)[1:6], *list(seen)[7:]]]
    assert blind["replace_obj, blind"] == 1 / 2


def test_the_mean_is_over_files_not_over_cases(world, answers):
    world.paint("a.jpg", 0)
    right = {"filename": "a.jpg", "caption": "yes", "negative_caption": "no"}
    wrong = {"filename": "a.jpg", "caption": "no", "negative_caption": "yes"}
    world.write("data/swap_att.json", {str(number): right for number in range(9)})
    world.write("data/swap_obj.json", {"4": wrong})
    rows = answers(world.open("sugarcrepe", "data"), {"yes": [1], "no": [0]})
    assert rows["mean of the 2"].value == 1 / 2
    assert (rows["all decisions"].value, rows["all decisions"].n) == (9 / 10, 10)


# Two pictures, two more dimensions for the texts among themselves.
PLUS_PLUS = {
    "old man": [3, 3, 5, 0],
    "aged man": [3, 1, 5, 0],
    "young man": [2, 2, 0, 5],
    "big cat": [0, 0, 2, 0],
    "large cat": [0, 0, 1, 1],
    "small cat": [0, 0, 2, 1],
}
MAN = {"caption": "old man", "caption2": "aged man", "negative_caption": "young man"}
CAT = {"caption": "big cat", "caption2": "large cat", "negative_caption": "small cat"}


def test_both_captions_must_win_and_the_texts_alone(world, answers):
    world.paint("a.jpg", 0)
    world.paint("b.jpg", 1)
    cases = [
        {"id": 0, "filename": "a.jpg", **MAN},  # 3 and 3 beat 2
        {"id": 1, "filename": "b.jpg", **MAN},  # 3 does, 1 does not
    ]
    world.write("data/replace_att.json", cases)
    cats = [{"id": 0, "filename": name, **CAT} for name in ("a.jpg", "b.jpg")]  # ties
    world.write("data/swap_obj.json", cats)
    rows = answers(world.open("sugarcrepe_pp", "data"), PLUS_PLUS)
    assert rows["replace_att ITT"].value == 1 / 2
    assert rows["swap_obj ITT"].value == 0
    assert rows["mean of the 2 ITT"].value == pytest.approx(1 / 4)
    # By cosine, old-aged .95 beats old-young .32 and aged-young .24; big-large .71 loses to
    # big-small .89.
    assert rows["replace_att TOT"].value == 1
    assert rows["swap_obj TOT"].value == 0
    assert rows["mean of the 2 TOT"].value == pytest.approx(1 / 2)
    assert {row.chance for row in rows.values()} == {1 / 3}
    assert [m for m in rows if "blind" in m] == [
        "replace_att ITT, blind",
        "swap_obj ITT, blind",
        "mean of the 2 ITT, blind",
        "all decisions ITT, blind",
    ]


@pytest.mark.parametrize("kind", ["sugarcrepe", "sugarcrepe_pp"])
def test_malformed_and_missing_files(world, kind):
    with pytest.raises(DataError, match=r"data: no \.json files in it; get them from https://git"):
        world.open(kind, "data")
    world.write("data/swap_att.json", {"7": {"filename": "a.jpg", "caption": "x"}})
    message = r"swap_att\.json: \['7'\] has no 'negative_caption' of type str"
    with pytest.raises(DataError, match=message):
        world.open(kind, "data")
