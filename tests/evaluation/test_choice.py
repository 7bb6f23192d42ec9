import numpy as np
import pytest

from kgclip_jax.data.evaluation_sets import ChoiceSet, Pictures, Question
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.choice import CONTROL, blinded, evaluate_choices
from kgclip_jax.evaluation.tasks import evaluate


def question(right, wrong, metric="caption", chance=0.5, **fields):
    """Make a question of pairs: decisions x comparisons."""
    right, wrong = np.array(right), np.array(wrong)
    clusters = fields.pop("clusters", np.arange(len(right)))
    return Question(metric, right, wrong, chance, clusters, **fields)


# Rows: pictures 0 to 3. Picture n scores entry n of a text.
TEXTS = {"a": [4, 1, 2, 2], "b": [3, 2, 2, 1], "c": [1, 3, 2, 0]}


@pytest.fixture
def make(pictures):
    def build(*questions, unreadable=()):
        return ChoiceSet("set", pictures(4, unreadable), list(TEXTS), list(questions))

    return build


@pytest.fixture
def encoder(table_encoder):
    encoder = table_encoder(np.eye(4), TEXTS)
    encoder.texts = {text: np.array(row, np.float32) for text, row in TEXTS.items()}
    return encoder


def values(rows):
    assert all((row.control == CONTROL) == row.blind for row in rows)
    return {(row.metric, row.blind): row.value for row in rows}


def test_the_protocol_of_pictures(pictures):
    assert isinstance(pictures(1), Pictures)


def test_a_right_pair_must_beat_the_wrong_one(make, encoder):
    # Picture 0: a 4 > b 3. Picture 1: b 2 < c 3. Picture 2: all tie. Picture 3: a 2 > c 0.
    right = [[(0, 0)], [(1, 1)], [(2, 0)], [(3, 0)]]
    wrong = [[(0, 1)], [(1, 2)], [(2, 1)], [(3, 2)]]
    rows = evaluate_choices(encoder, make(question(right, wrong)))
    assert values(rows)["caption", False] == 2 / 4
    assert [(row.task, row.set_name, row.n) for row in rows] == [("composition", "set", 4)] * 2
    assert all(row.chance == 0.5 and row.low <= row.value <= row.high for row in rows)


def test_all_comparisons_of_a_decision_must_hold(make, encoder):
    # Picture 0 prefers a to b and to c; picture 1 prefers b to a, but not to c.
    right = [[(0, 0), (0, 0)], [(1, 1), (1, 1)]]
    wrong = [[(0, 1), (0, 2)], [(1, 0), (1, 2)]]
    rows = evaluate_choices(encoder, make(question(right, wrong, chance=1 / 3)))
    assert values(rows)["caption", False] == 1 / 2


def test_a_text_chooses_its_picture_and_the_blind_row_reads_another_text(make, encoder):
    # b: picture 0 3 > picture 1 2. c: picture 1 3 > picture 0 1. Each is wrong for the other.
    asked = question([[(0, 1)], [(1, 2)]], [[(1, 1)], [(0, 2)]])
    rows = evaluate_choices(encoder, make(asked))
    assert values(rows) == {("caption", False): 1, ("caption", True): 0}


def test_a_blind_row_asks_each_item_about_the_pictures_of_one_other():
    sizes = [3, 1, 2, 2, 1]
    items = np.repeat(np.arange(5), sizes)[[8, 0, 5, 1, 7, 2, 3, 6, 4]]  # in any order
    right = np.stack([np.arange(9), np.arange(9)], axis=1)[:, None]
    wrong = right + np.array([0, 100])
    blind = blinded(question(right, wrong, clusters=items))
    np.testing.assert_array_equal(blind.right[..., 1], right[..., 1])
    np.testing.assert_array_equal(blind.wrong[..., 1], wrong[..., 1])
    np.testing.assert_array_equal(blind.right[..., 0], blind.wrong[..., 0])
    seen, partners = blind.right[:, 0, 0], {}
    for item in range(5):
        members = np.flatnonzero(items == item)
        (partners[item],) = {*items[seen[members]]}
        theirs = np.flatnonzero(items == partners[item])
        assert seen[members].tolist() == np.resize(theirs, len(members)).tolist()
    assert sorted(partners.values()) == [*partners]
    assert all(item != partner for item, partner in partners.items())


def test_one_item_or_texts_alone_have_no_blind_row():
    pairs = [[(0, 0)], [(0, 1)]], [[(0, 1)], [(0, 0)]]
    assert blinded(question(*pairs, clusters=np.zeros(2, int))) is None
    assert blinded(question(*pairs, anchors="texts")) is None


def test_what_texts_give_away_is_in_both_rows_and_what_sight_gives_in_one(
    pictures, table_encoder, random_units
):
    count = 2000
    images = random_units(0, count, 64) + np.eye(64, dtype=np.float32)[0]  # all are alike in that
    false, noise = random_units(1, count, 64), random_units(2, count, 64)

    def rates(sight: float, prior: float):
        true = false + noise + prior * images.mean(axis=0) + sight * (images - images.mean(axis=0))
        names = [*map(str, range(2 * count))]
        encoder = table_encoder(images, {name: [1] for name in names})
        encoder.texts = dict(zip(names, np.concatenate([true, false]), strict=True))
        places = np.arange(count)
        pairs = [np.stack([places, places + start], axis=1)[:, None] for start in (0, count)]
        data = ChoiceSet("set", pictures(count), names, [question(*pairs)])
        return [row.value for row in evaluate_choices(encoder, data)]

    assert rates(0, 0) == pytest.approx([0.5, 0.5], abs=0.04)
    seeing, blind = rates(0, 0.2)
    assert blind > 0.75
    assert seeing == pytest.approx(blind, abs=0.04)
    seeing, blind = rates(0.3, 0)
    assert seeing > 0.75
    assert blind == pytest.approx(0.5, abs=0.04)


def test_texts_can_be_compared_with_texts(make, encoder):
    # a.b = 12 + 2 + 4 + 2 = 20, a.c = 4 + 3 + 4 = 11, b.c = 3 + 6 + 4 = 13.
    right, wrong = [[(0, 1), (0, 1)], [(0, 2), (0, 2)]], [[(0, 2), (1, 2)], [(0, 1), (1, 2)]]
    asked = question(right, wrong, anchors="texts")
    rows = evaluate_choices(encoder, make(asked))
    assert values(rows) == {("caption", False): 1 / 2}


def test_the_length_of_a_text_says_nothing_of_its_likeness_to_another(make, encoder):
    # cos(a, b) = .94, cos(b, c) = .82, cos(a, c) = .59; c is long, so its dot products are larger.
    encoder.texts["c"] = 10 * encoder.texts["c"]
    right, wrong = [[(0, 1)], [(1, 0)], [(1, 2)]], [[(0, 2)], [(1, 2)], [(0, 2)]]
    asked = question(right, wrong, anchors="texts")
    assert values(evaluate_choices(encoder, make(asked))) == {("caption", False): 1}


def test_macro_means_and_clusters(make, encoder):
    right = [[(0, 0)], [(0, 0)], [(0, 0)], [(1, 1)]]
    wrong = [[(0, 1)], [(0, 1)], [(0, 1)], [(1, 2)]]  # three right, one wrong
    asked = question(right, wrong, groups=np.array([5, 5, 5, 8]), clusters=np.zeros(4, int))
    row = evaluate_choices(encoder, make(asked))[0]
    assert (row.low, row.value, row.high, row.n) == (0.5, 0.5, 0.5, 4)  # one cluster: no width


def test_decisions_about_unreadable_pictures_are_left_out(make, encoder, caplog):
    right, wrong = [[(0, 0)], [(1, 1)], [(3, 0)]], [[(0, 1)], [(1, 2)], [(3, 1)]]
    one = question([[(1, 1)]], [[(1, 2)]], "only that picture")
    texts = question([[(1, 0)]], [[(1, 2)]], "texts", anchors="texts")
    data = make(question(right, wrong), one, texts, unreadable=[1])
    rows = evaluate_choices(encoder, data)
    assert [(row.metric, row.n) for row in rows] == [("caption", 2), ("caption", 2), ("texts", 1)]
    assert values(rows)["caption", False] == 1
    assert "only that picture: left out, none of its pictures can be read" in caplog.text
    with pytest.raises(DataError, match="none of its pictures"):
        evaluate_choices(encoder, make(one, unreadable=range(4)))


def test_pictures_and_texts_are_encoded_once(make, encoder):
    asked = [question([[(0, 0)]] * 9, [[(0, 1)]] * 9, str(number)) for number in range(3)]
    evaluate(encoder, [make(*asked)])
    assert encoder.seen_images == [3, 1]
    assert encoder.seen_texts == [["a", "b", "c"]]


def test_a_random_scorer_is_at_chance(pictures, table_encoder, random_units):
    count = 2000
    texts = {str(number): vector for number, vector in enumerate(random_units(1, count, 16))}
    encoder = table_encoder(random_units(0, count, 16), texts)
    rng = np.random.default_rng(2)
    picture = np.repeat(rng.integers(count, size=(count, 1)), 4, axis=1)
    chosen = rng.integers(count, size=(count, 5))
    right = np.stack([picture, np.repeat(chosen[:, :1], 4, axis=1)], axis=2)
    wrong = np.stack([picture, chosen[:, 1:]], axis=2)
    asked = question(right, wrong, chance=1 / 5)
    row = evaluate_choices(encoder, ChoiceSet("random", pictures(count), list(texts), [asked]))[0]
    assert row.low <= row.chance <= row.high


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([], "4 pictures and 0 questions"),
        ([([[(0, 0)]], [[(0, 1)]])] * 2, "2 questions called 'caption'"),
        ([(np.zeros((0, 1, 2), int), np.zeros((0, 1, 2), int))], "has no decisions"),
    ],
)
def test_bad_sets_are_refused(make, encoder, asked, message):
    with pytest.raises(DataError, match=f"'set'.*{message}"):
        evaluate_choices(encoder, make(*[question(*pairs) for pairs in asked]))
