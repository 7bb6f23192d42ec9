"""Where things stand on the unit canvas, and which relations follow from it."""

from collections.abc import Callable, Sequence

from kgclip_jax.random import FastRandom

Point = tuple[float, float]  # centre: (from the left, from the top), shares of the canvas

# Sides of a drawing's box. "medium" is the size of all things where sizes are not in use.
EXTENTS = {"small": 0.32, "medium": 0.4, "large": 0.48}

_WOBBLE = 0.06  # things in a row are this much off the line
_OVERLAP = 0.52  # of the smaller box, along the line on which two things overlap
_CLEAR = 0.13  # two wobbles never reach it; the smallest overlapping pair is 0.154 apart


def place(extents: Sequence[float], overlapping: bool, random: FastRandom) -> list[Point]:
    """Return a centre for each of 1 to 4 boxes, in the order of painting.

    Where boxes are `overlapping`, the first two, and the third and fourth, form pairs of which the
    second box hides a part of the first. Otherwise they stand apart.

    Two boxes can change places: both fit where either of them stands.
    """
    count = len(extents)
    room = max(extents)
    if count == 1:
        return [(_within(0.0, 1.0, room, random), _within(0.0, 1.0, room, random))]
    if overlapping:
        points = _overlapping_pairs(extents, random)
    elif count == 2:
        points = random.choose(_TWO_APART)(room, random)
        random.shuffle(points)
    else:
        points = _grid(extents, random)
    return [(y, x) for x, y in points] if random.chance(0.5) else points


def relations_between(a: Point, b: Point, extent_a: float, extent_b: float) -> tuple[str, ...]:
    """Name the relations of thing `a` to thing `b`, where `b` is painted over `a`.

    A direction is named if it is clear: at least 13 % of the canvas, and at least half as far as
    the other direction. Overlap counts as "behind" if it is a third of the smaller box both ways.
    """
    right, down = b[0] - a[0], b[1] - a[1]
    names = []
    if abs(right) >= max(_CLEAR, abs(down) / 2):
        names.append("left of" if right > 0 else "right of")
    if abs(down) >= max(_CLEAR, abs(right) / 2):
        names.append("above" if down > 0 else "below")
    reach = (extent_a + extent_b) / 2 - max(abs(right), abs(down))
    if reach >= min(extent_a, extent_b) / 3:
        names.append("behind")
    return tuple(names)


def _within(low: float, high: float, extent: float, random: FastRandom) -> float:
    """Draw the centre of a box that stays in [low, high)."""
    return random.between(low + extent / 2, high - extent / 2)


def _row(room: float, random: FastRandom) -> list[Point]:
    """Two boxes side by side; the spare room is cut at two random points."""
    spare = 1.0 - 2 * room
    cuts = sorted((random.between(0.0, spare), random.between(0.0, spare)))
    line = _within(_WOBBLE, 1.0 - _WOBBLE, room, random)
    return [
        (cut + room * (0.5 + place), line + random.between(-_WOBBLE, _WOBBLE))
        for place, cut in enumerate(cuts)
    ]


def _diagonal(room: float, random: FastRandom) -> list[Point]:
    """Two boxes in opposite corners."""
    rising = random.chance(0.5)
    corners = [(0.0, 0.5), (0.5, 0.0)] if rising else [(0.0, 0.0), (0.5, 0.5)]
    return [
        (_within(x, x + 0.5, room, random), _within(y, y + 0.5, room, random)) for x, y in corners
    ]


_TWO_APART: tuple[Callable[[float, FastRandom], list[Point]], ...] = (_row, _row, _diagonal)


def _grid(extents: Sequence[float], random: FastRandom) -> list[Point]:
    """Three or four boxes, each in its own quarter of the canvas."""
    quarters = random.sample(((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)), len(extents))
    points = []
    for (x, y), extent in zip(quarters, extents, strict=True):
        wobble = min(_WOBBLE, 0.25 - extent / 2)
        points.append(
            (
                x + 0.25 + random.between(-wobble, wobble),
                y + 0.25 + random.between(-wobble, wobble),
            )
        )
    return points


def _overlapping_pairs(extents: Sequence[float], random: FastRandom) -> list[Point]:
    """One pair anywhere, or pairs (or a pair and a single box) in the two halves of the canvas."""
    if len(extents) == 2:
        return _overlapping_pair(extents, 0.0, 1.0, random)
    halves = [(0.0, 0.5), (0.5, 1.0)]
    random.shuffle(halves)
    rest = extents[2:]
    points = _overlapping_pair(extents[:2], *halves[0], random)
    if len(rest) == 2:
        return points + _overlapping_pair(rest, *halves[1], random)
    return [*points, (_within(0.0, 1.0, rest[0], random), _within(*halves[1], rest[0], random))]


def _overlapping_pair(
    extents: Sequence[float], top: float, bottom: float, random: FastRandom
) -> list[Point]:
    """Two boxes side by side between `top` and `bottom`, the second painted over the first."""
    room = max(extents)
    distance = sum(extents) / 2 - _OVERLAP * min(extents)
    left = random.between(room / 2, 1.0 - room / 2 - distance)
    wobble = min(_WOBBLE, (bottom - top - room) / 2)
    line = _within(top + wobble, bottom - wobble, room, random)
    points = [(x, line + random.between(-wobble, wobble)) for x in (left, left + distance)]
    return points[::-1] if random.chance(0.5) else points
