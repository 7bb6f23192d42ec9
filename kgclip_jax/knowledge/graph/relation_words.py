"""Names of relations as words that a text encoder knows."""

import re


def words_of_camel_case(name: str) -> str:
    """Return "has prerequisite" for "HasPrerequisite" or "_has_prerequisite"."""
    return re.sub(r"[\W_]+|(?<=[a-z])(?=[A-Z])", " ", name).strip().lower()
