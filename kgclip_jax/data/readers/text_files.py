"""Text files beside pictures, loose or in archives: one caption, or a caption a line.

img2dataset writes one caption, which may go over several lines; the archives of CLIP_benchmark have
the five captions of a picture in five lines. Nothing in a file tells which is meant.
"""

from kgclip_jax.errors import DataError


def captions_of(text: str, caption_per_line: bool | None) -> tuple[list[str], int]:
    """Return the captions of a text, and how many of its lines are not blank."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return (lines if caption_per_line else [text.strip()]), len(lines)


def check_lines(where: str, several: int, texts: int, caption_per_line: bool | None) -> None:
    """Refuse to guess what lines are.

    Raises:
        DataError: it is not set, and most texts have several lines.
    """
    if caption_per_line is None and 2 * several > texts:
        raise DataError(
            f"{where}: {several} of {texts} .txt files have several lines: set caption_per_line to "
            "True if each line is a caption of its own, to False if a file is one caption"
        )
