"""Normalised mutual information of two labellings, as a mean over items.

    NMI = I(x; y) / H,    H = (H(x) + H(y)) / 2

of the shares that labels have among the items. It is 0 where H is 0. It is well above 0 for labels
that have nothing to do with each other, where items are few and labels many.
"""

import numpy as np
from jaxtyping import Float, Int


def nmi_of_items(
    x: Int[np.ndarray, " items"], y: Int[np.ndarray, " items"]
) -> Float[np.ndarray, " items"]:
    """Return numbers of which the mean is NMI, and the spread is its uncertainty.

    What is left of a number without NMI is the influence of its item, the derivative of NMI by how
    often the item is there (Hampel, JASA 1974):

        NMI + (log p(x, y) / (p(x) p(y)) - NMI s) / H,    s = -(log p(x) + log p(y)) / 2

    So the interval of their mean is that of NMI. With few items for each label it is too narrow: by
    a tenth for 500 items of 10 labels, by a quarter for 5 items of each label. NMI of resampled
    items would not do at all: an item that is drawn twice agrees with itself, which raises all
    resamples above the value.
    """
    x, y = (np.unique(labels, return_inverse=True)[1] for labels in (x, y))
    log_x, log_y, log_both = map(_log_shares, (x, y, x * (y.max() + 1) + y))
    own, shared = -(log_x + log_y) / 2, log_both - log_x - log_y
    entropy = own.mean()
    if entropy == 0:
        return np.zeros(len(x))
    nmi = shared.mean() / entropy
    return np.asarray(nmi + (shared - nmi * own) / entropy)


def _log_shares(labels: Int[np.ndarray, " items"]) -> Float[np.ndarray, " items"]:
    """Return the logarithm of the share that the label of each item has."""
    place = np.unique(labels, return_inverse=True)[1]
    return np.log(np.bincount(place) / len(labels))[place]
