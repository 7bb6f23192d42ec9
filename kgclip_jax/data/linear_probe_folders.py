"""Linear probes from disk: two folders with a folder of pictures a class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgclip_jax.data.classification import labelled_pictures, list_pictures
from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import LinearProbeSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.errors import DataError


@dataclass(frozen=True, kw_only=True)
class LinearProbeFolders(PictureSet):
    """A linear classifier of frozen picture embeddings, see `kgclip_jax.evaluation.linear_probe`.

    Attributes:
        kind: tells this set apart from the others.
        training_folder: where the class folders lie that the classifier is fitted to, absolute or
            relative to `data.path`.
        folder: where those lie that it is measured on, likewise.
        averaged_as: name of a row for the mean top-1 over all such sets of that name; None for no
            such row.
    """

    kind: Literal["linear_probe"]
    training_folder: str
    folder: str
    averaged_as: str | None = None

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> LinearProbeSet:
        """List the pictures of both folders, which are not opened yet.

        Raises:
            DataError: a folder is missing or holds no pictures, or a class has none to be fitted
                to.
        """
        training, measured = (
            list_pictures(root / folder) for folder in (self.training_folder, self.folder)
        )
        classes = [key for key, files in training.items() if files]
        if unknown := [key for key, files in measured.items() if files and key not in classes]:
            raise DataError(
                f"{root / self.training_folder}: no pictures of the class {unknown[0]!r}, which "
                f"{root / self.folder} has"
            )
        sides = [
            labelled_pictures(files, classes, transform, name=name, bad_share=self.bad_share)
            for files in (measured, training)
        ]
        return LinearProbeSet(name, *sides[0], *sides[1], averaged_as=self.averaged_as)
