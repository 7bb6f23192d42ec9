"""Texts of classes that are told by their attributes, with or without their names.

    attributes    a photo of an animal that is black.    a photo of an animal that has a tail. ...
    both          a photo of a giant panda that is black.    a photo of a giant panda that ...
    names         a photo of a giant panda.

Each attribute has a sentence of its own, and a class is the mean of their embeddings. So texts stay
far shorter than a context, and none is cut, however many attributes a class has.

VL-Taboo (Vogel et al. 2022, arXiv 2209.06103) has the idea and these three texts; it puts a number
of attributes that are drawn into one sentence, and finds that more of them can make it worse.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.english import article

Texts: TypeAlias = Literal["attributes", "names", "both"]


class DescribedClass(NamedTuple):
    """A class: its name, and a relative clause for each of its attributes ("that is black")."""

    name: str
    clauses: Sequence[str]


def class_texts(
    classes: Sequence[DescribedClass], noun: str, texts: Texts, where: str
) -> tuple[list[str], list[list[str]]]:
    """Return what each class is called, and its texts.

    A class without a name is called by its attributes: those that share all of them are one to a
    model, as those that share a name are.

    Args:
        classes: what is known of them.
        noun: what all are ("animal").
        texts: see above.
        where: the file of the attributes, for messages.

    Raises:
        DataError: a class has no attribute, and needs one.
    """
    if texts == "names":
        return [each.name for each in classes], [[_text(each.name, "")] for each in classes]
    for each in classes:
        if not each.clauses:
            raise DataError(f"{where}: the class {each.name!r} has no attribute")
    named = [each.name if texts == "both" else noun for each in classes]
    prompts = [
        [_text(name, f" {clause}") for clause in each.clauses]
        for name, each in zip(named, classes, strict=True)
    ]
    called = [each.name if texts == "both" else ", ".join(each.clauses) for each in classes]
    return called, prompts


def _text(name: str, clause: str) -> str:
    return f"a photo of {article(name)} {name}{clause}."
