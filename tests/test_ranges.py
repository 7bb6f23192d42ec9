"""Ranges of numbers, and that every number that a user can set has one."""

import dataclasses
import typing

import pytest

from kgclip_jax import config, schema
from kgclip_jax.ranges import Range

SHARE, OPEN = Range(0, 1), Range(0, 1, open_low=True, open_high=True)


@pytest.mark.parametrize(
    ("limits", "value", "message"),
    [
        (SHARE, 0, ""),
        (SHARE, 1.0, ""),
        (SHARE, -0.5, "at least 0"),
        (SHARE, 1.5, "at most 1"),
        (OPEN, 0.5, ""),
        (OPEN, 0.0, "above 0"),
        (OPEN, 1, "below 1"),
        (Range(3), 10**400, ""),
    ],
)
def test_a_range_says_which_bound_is_broken(limits, value, message):
    assert limits.broken_by(value) == message


def all_settings(section=config.Experiment):
    """Yield (place, annotation) of each setting of an experiment, in parts of all kinds."""
    for name, annotation in typing.get_type_hints(section, include_extras=True).items():
        if typing.get_origin(annotation) is not typing.ClassVar:
            yield f"{section.__name__}.{name}", annotation
            for part in parts_of(annotation):
                yield from all_settings(part)


def parts_of(annotation):
    """Yield the dataclasses that may stand somewhere in a setting."""
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        yield annotation
    for argument in typing.get_args(annotation):
        if isinstance(argument, schema.Registry):
            yield from (argument.find(kind, "") for kind in argument.places)
        else:
            yield from parts_of(argument)


def bare_numbers(annotation):
    """Whether a setting holds numbers of any size."""
    arguments = typing.get_args(annotation)
    if arguments and isinstance(arguments[-1], Range):
        return False
    return annotation in (int, float) or any(map(bare_numbers, arguments))


ANY_NUMBER = {"Vision.mean", "DualEncoder.logit_bias"}


def test_every_number_has_a_range():
    bare = {place for place, annotation in all_settings() if bare_numbers(annotation)}
    assert bare == ANY_NUMBER


def test_every_optional_setting_can_be_unset_from_the_command_line():
    unset = schema.Override("None")
    optional = {
        place: annotation
        for place, annotation in all_settings()
        if type(None) in typing.get_args(annotation)
    }
    assert len(optional) > 20
    for place, annotation in optional.items():
        one = dataclasses.make_dataclass("One", [("setting", annotation)], frozen=True)
        assert schema.parse(one, {"setting": unset}, place).setting is None
