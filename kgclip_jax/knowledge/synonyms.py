"""Words that mean the same in captions: a graph names what they name alike.

A name that is shared keeps swaps and replacements from being true ("a large dog and a big cat"),
also where two captions of a picture say it in two ways. The list is short and made by hand: synsets
of WordNet hold rarer senses ("man" and "piece"), which would take true negatives away.
"""

_SAME = """
    large: big
    small: little, tiny
    huge: giant, enormous, gigantic
    gray: grey
    blond: blonde
    beautiful: pretty
    multicolored: multicoloured, multi-colored, multi-coloured, colorful, colourful
    smiling: grinning
    airplane: plane, aeroplane, aircraft
    baby: infant
    bicycle: bike
    car: automobile
    cell phone: cellphone, mobile phone, cellular phone
    child: kid
    donut: doughnut
    father: dad, daddy
    man: guy, gentleman
    mother: mom, mommy, mum
    motorcycle: motorbike, motor bike, motor cycle
    picture: photo, photograph
    puppy: pup
    rabbit: bunny
    refrigerator: fridge
    road: street
    sofa: couch
    store: shop
    t-shirt: tshirt, tee shirt
    television: tv, tv set
    woman: lady
"""
_MEANINGS = {
    word: name.strip()
    for line in _SAME.strip().splitlines()
    for name, _, words in [line.partition(":")]
    for word in words.strip().split(", ")
}


def meaning(name: str) -> str:
    """Return the name that stands for a name and its synonyms: "large" for "big"."""
    return _MEANINGS.get(name, name)
