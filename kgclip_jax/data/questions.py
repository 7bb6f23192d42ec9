"""From decisions between right and wrong pairs to the questions of a set."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from kgclip_jax.data.evaluation_sets import Question

Pair: TypeAlias = tuple[int, int]
Side: TypeAlias = Literal["pictures", "texts"]


class Decision(NamedTuple):
    """All `right` pairs of (anchor, text) have to beat the wrong pair in the same place.

    Attributes:
        right: pairs that fit.
        wrong: pairs that do not, as many.
        cluster: decisions of the same one depend on each other.
        group: what macro means average over.
    """

    right: Sequence[Pair]
    wrong: Sequence[Pair]
    cluster: int
    group: str = ""


def ask(
    metric: str,
    decisions: Sequence[Decision],
    *,
    chance: float,
    macro: bool = False,
    anchors: Side = "pictures",
) -> Question:
    """Make a question of decisions; see `Question` for the arguments.

    `macro` averages over the means of the groups instead of over decisions.
    """
    most = max(len(decision.right) for decision in decisions)
    groups = np.unique([decision.group for decision in decisions], return_inverse=True)[1]
    return Question(
        metric=metric,
        right=np.array([_repeated(decision.right, most) for decision in decisions]),
        wrong=np.array([_repeated(decision.wrong, most) for decision in decisions]),
        chance=chance,
        clusters=np.array([decision.cluster for decision in decisions]),
        groups=groups if macro else None,
        anchors=anchors,
    )


def _repeated(pairs: Sequence[Pair], length: int) -> list[Pair]:
    """Repeat the last pair, which decides nothing new."""
    return [*pairs, *[pairs[-1]] * (length - len(pairs))]


def ask_by_group(
    decisions: Sequence[Decision],
    *,
    chance: float,
    prefix: str = "",
    suffix: str = "",
    anchors: Side = "pictures",
) -> list[Question]:
    """Ask a question for each group; if there are several, for their mean and for all decisions.

    The mean of the groups' means (macro) is what benchmarks quote; over all decisions (micro), a
    group counts by its size.

    `prefix` stands before the names of the last two questions, `suffix` behind those of all.
    """
    questions = ask_each_group(decisions, chance=chance, suffix=suffix, anchors=anchors)
    if len(questions) > 1:
        for name, macro in ((f"mean of the {len(questions)}", True), ("all decisions", False)):
            metric = f"{prefix}{name}{suffix}"
            questions.append(ask(metric, decisions, chance=chance, macro=macro, anchors=anchors))
    return questions


def ask_each_group(
    decisions: Sequence[Decision], *, chance: float, suffix: str = "", anchors: Side = "pictures"
) -> list[Question]:
    """Ask a question for each group, in alphabetical order; see `ask_by_group`."""
    groups: dict[str, list[Decision]] = {}
    for decision in decisions:
        groups.setdefault(decision.group, []).append(decision)
    return [
        ask(name + suffix, groups[name], chance=chance, anchors=anchors) for name in sorted(groups)
    ]


def ask_to_match(items: Iterable[tuple[Pair, Pair]], *, both_at_once: bool) -> list[Question]:
    """Ask which of two captions fits which of two pictures, for items of two pairs that fit.

        text    a picture prefers its own caption to the other one
        image   a caption prefers its own picture to the other one
        group   all four decisions of an item are right

    The group score needs the two right pairs to be the upper two of four scores. If these are
    independent and identically distributed, all 4! orders are equally likely and 2! 2! of them
    qualify: chance is 1/6, as in Winoground (Thrush et al., CVPR 2022). It depends on the kind of
    ignorance: any scorer that ignores one side gets 0, and scores whose differences are one coin
    get 1/2. 1/6 is the convention, not a bound.

    A scorer that never sees the picture prefers one caption of an item for both pictures, so it
    gets exactly one of two decisions right (none, if it is undecided): texts alone give nothing.

    Args:
        items: (picture, caption) pairs, two an item; decisions of an item form a cluster.
        both_at_once: text and image score want both decisions of an item (chance 1/4), and not
            each for itself (1/2).
    """
    parts = [slice(0, 2)] if both_at_once else [slice(0, 1), slice(1, 2)]
    text, image, group = [], [], []
    for item, ((first, one), (second, two)) in enumerate(items):
        right = [(first, one), (second, two)]
        other_caption = [(first, two), (second, one)]
        other_picture = other_caption[::-1]
        text += [Decision(right[part], other_caption[part], item) for part in parts]
        image += [Decision(right[part], other_picture[part], item) for part in parts]
        group.append(Decision(right * 2, other_caption + other_picture, item))
    if not group:
        return []
    chance = 1 / 4 if both_at_once else 1 / 2
    return [
        ask("text", text, chance=chance),
        ask("image", image, chance=chance),
        ask("group", group, chance=1 / 6),
    ]


def ask_which(items: Iterable[Sequence[Pair]], name: str) -> list[Question]:
    """Ask which caption fits which picture, for items of two or more pairs that fit.

        NAME, text     a picture prefers its own caption to all others of the item
        NAME, image    a caption prefers its own picture to all others of the item

    A scorer that never sees the picture prefers one caption of an item for all its pictures, so it
    gets exactly one decision of an item right (none, if it is undecided). That is what chance is,
    too: the number of items divided by that of decisions.
    """
    text, image = [], []
    count = 0
    for item, pairs in enumerate(items):
        count += 1
        for own in pairs:
            others = [pair for pair in pairs if pair != own]
            right = [own] * len(others)
            other_captions = [(own[0], caption) for _, caption in others]
            other_pictures = [(picture, own[1]) for picture, _ in others]
            text.append(Decision(right, other_captions, item))
            image.append(Decision(right, other_pictures, item))
    chance = count / len(text)
    return [
        ask(f"{name}, text", text, chance=chance),
        ask(f"{name}, image", image, chance=chance),
    ]


def in_groups_of(decisions: Sequence[Decision], least: int) -> list[Decision]:
    """Keep the decisions of groups that have at least so many."""
    sizes = Counter(decision.group for decision in decisions)
    return [decision for decision in decisions if sizes[decision.group] >= least]
