import pytest

from kgclip_jax.errors import DataError

YES_NO = {"POS": ["yes"], "NEG": ["no"]}
NO_YES = {"POS": ["no", "yes"], "NEG": ["yes", "no"]}  # only the first of each counts


def test_a_row_a_file_and_the_mean_of_a_topic(world, answers):
    world.paint("VG_100K/1.jpg", 0)
    world.write("data/Attribute/vg/color.json", [["VG_100K/1.jpg", YES_NO]] * 3)
    world.write("data/Attribute/vg/size.json", [["VG_100K/1.jpg", NO_YES]])
    entries = [["VG_100K/1.jpg", YES_NO], ["VG_100K/1.jpg", NO_YES]]
    world.write("data/Relation/vg/spatial.json", entries)
    rows = answers(world.open("vl_checklist", "data"), {"yes": [1], "no": [0]})
    seen = {metric: (row.value, row.n) for metric, row in rows.items() if not row.blind}
    assert seen == {
        "Attribute/vg/color": (1, 3),
        "Attribute/vg/size": (0, 1),
        "Attribute, mean of the 2": (1 / 2, 4),
        "Attribute, all decisions": (3 / 4, 4),
        "Relation/vg/spatial": (1 / 2, 2),
    }


def test_files_beside_each_other_have_one_mean(world, answers):
    world.paint("VG_100K/1.jpg", 0)
    world.write("Relation/vg/action.json", [["VG_100K/1.jpg", YES_NO]] * 3)
    world.write("Relation/vg/spatial.json", [["VG_100K/1.jpg", NO_YES]])
    rows = answers(world.open("vl_checklist", "Relation/vg"), {"yes": [1], "no": [0]})
    seen = {metric: (row.value, row.n) for metric, row in rows.items() if not row.blind}
    assert seen == {
        "action": (1, 3),
        "spatial": (0, 1),
        "mean of the 2": (1 / 2, 4),
        "all decisions": (3 / 4, 4),
    }


@pytest.mark.parametrize(
    "entry",
    [
        "1.jpg",
        ["1.jpg"],
        [1, YES_NO],
        ["1.jpg", {"POS": ["yes"]}],
        ["1.jpg", {"POS": [], "NEG": ["no"]}],
        ["1.jpg", {"POS": "yes", "NEG": "no"}],
        ["1.jpg", {"POS": [1], "NEG": ["no"]}],
    ],
)
def test_malformed_entries_are_named(world, entry):
    world.write("data/color.json", [["1.jpg", YES_NO], entry])
    with pytest.raises(DataError, match=r"color\.json: \[1\] is not a path with phrases"):
        world.open("vl_checklist", "data")


def test_released_phrases_of_visual_genome(shared_data, world):
    file = shared_data / "vl_checklist_vg" / "Attribute" / "vg" / "state.json"
    world.root.joinpath("data").mkdir()
    world.root.joinpath("data", "state.json").symlink_to(file)
    data = world.open("vl_checklist", "data", bad_share=1.0)
    (question,) = data.questions
    assert (question.metric, len(question.right)) == ("state", 941)
    assert len(data.pictures) == len(set(question.clusters)) == 707
    assert "smoke in front of old train" in data.texts
    with pytest.raises(DataError, match=r"missing image: 707 of 707.*VG_100K"):
        world.open("vl_checklist", "data")
