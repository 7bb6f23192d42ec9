"""The few English words that the rules know by name."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Tagged as nouns, yet they name nothing that can be seen.
PRONOUNS = _words("""
    one ones other others another each something anyone anybody anything everyone everybody
    everything nobody nothing none i you he she it we they him her them me us himself herself itself
    themselves who whom which what that this these those there
""")
# spaCy takes these for interjections at the start of a caption: "Boy jumps into the water".
CALLED_OUT = _words("boy girl man baby")
RELATIVE_PRONOUNS = _words("who whom which that")
NEGATIVE_DETERMINERS = _words("no neither none nor")

# "a group of people" are people; a number, an article or an adjective before "of" works likewise.
QUANTITIES = _words("""
    group groups couple couples pair pairs set sets bunch bunches lot lots number numbers variety
    kind kinds type types sort sorts piece pieces bit plenty majority rest herd herds flock flocks
    crowd crowds
""")

# "a picture of a dog" shows a dog; in "a man holds a picture of a dog" it is a thing.
PICTURES = _words("""
    picture pictures photo photos photograph photographs image images shot shots snapshot view views
    scene closeup close up
""")
SHOWING = _words("shows show showing depicts depict depicting features featuring")

# "in front of the house" says where, and names no front.
PLACES = _words("""
    front top back side sides left right middle center centre midst edge end bottom rear inside
    outside
""")

# What a man holds "in his hand" is in his hand; he is not.
HOLDERS = _words("mouth mouths hand hands arm arms teeth jaw jaws beak lap")

# Two do this together: "shakes hands with". The hands are no thing that another could have.
TOGETHER = {
    "hands": _words("shake shakes shaking shook hold holds holding held join joins joining"),
    "arms": _words("link links linking linked lock locks locking locked"),
}

# What a thing is made of, as a noun before it: "the metal shirt".
MATERIALS = _words("""
    aluminum bamboo brass brick bronze canvas cardboard cement ceramic chrome clay cloth concrete
    copper cotton denim fabric fleece glass granite iron lace leather linen marble metal nylon paper
    plaid plastic porcelain rubber satin silk steel stone straw suede tile tin velvet vinyl wicker
    wood wool
""")

# Articles and prepositions of other languages, that no English caption has many of.
FOREIGN = _words("""
    au auf aux avec con dans de del dem den der des die das du ein eine einem einen einer el em est
    et im ist la las le les los mit por sobre sur um uma un una und une unter von zu
""")

# Adjectives that count or compare instead of describing.
NOT_PROPERTIES = _words("""
    many several few multiple various numerous more most other another same own such certain
    different similar only single first second third last next whole entire much looking
""")

COLOURS = _words("""
    black white red green blue yellow brown orange pink purple gray grey tan beige gold golden
    silver maroon navy turquoise violet blond blonde brunette teal
""")
PROPERTIES = COLOURS | MATERIALS  # of nouns too, as "metal" of "the metal shirt"
SHADES = _words("dark light bright pale deep")
COLOURED = _words("colored coloured color colour")
COLOUR_NOUNS = _words("color colors colour colours")

# These have no singular that means the same.
PLURAL_ONLY = _words("""
    pants jeans shorts trousers glasses sunglasses goggles scissors clothes tights leggings overalls
    headphones earphones binoculars pajamas pyjamas trunks woods stairs bleachers
""")
# Tables of base forms know the verbs "singe" and "swinge" too.
BASE_FORMS = {"singing": "sing", "swinging": "swing"}
