"""Data sets: the Gaussian task with known information, scikit-learn's digits, and files of the user's, .npz or .csv."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from dualib.core.arrays import positive, real_array, whole
from dualib.core.files import read_npz
from dualib.core.result import Brief
from dualib.core.typing import Float, FloatArray
from dualib.examples.images import digit_images
from dualib.joint_csv import named_columns, numbers_of
from ntkinfo.labels import Labels, encode_labels

if TYPE_CHECKING:
    from dualib.gaussian import GaussianIB


@dataclass(frozen=True, eq=False)
class Dataset(Brief):
    """Training and test points with labels.

    Attributes
    ----------
    x_train, x_test : array, shapes (n, ...) and (m, ...)
    y_train, y_test : array, shapes (n, k) and (m, k)
    entropy_y : float or None
        H(Y) in nats where it is known, else None.
    label_noise : float or None
        Variance of Y|X, per output, where it is known, else None.
    gaussian_ib : GaussianIB or None
        The exact information bottleneck of (X, Y), for the Gaussian task, else None.
    settings : dict
        What it was made from.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.eye(2)
    >>> data = Dataset(points, np.array([[1.0], [-1.0]]), points, np.array([[1.0], [-1.0]]))
    >>> data.x_train.shape, data.y_test.ravel()
    ((2, 2), array([ 1., -1.]))
    """

    x_train: Float[np.ndarray, "n ..."]
    y_train: Float[np.ndarray, "n k"]
    x_test: Float[np.ndarray, "m ..."]
    y_test: Float[np.ndarray, "m k"]
    entropy_y: float | None = None
    label_noise: float | None = None
    gaussian_ib: GaussianIB | None = None
    settings: dict[str, object] = field(default_factory=dict)


def gaussian_task(
    n_train: int = 100,
    n_test: int = 1000,
    *,
    x_dim: int = 30,
    y_dim: int = 1,
    information: float = 0.445,
    seed: int = 0,
) -> Dataset:
    r"""Draw the jointly Gaussian task x = L ε, y = A x + σ ε', with a known mutual information and an exact bottleneck
    curve.

    L and A have independent standard normal entries; Y is scaled to unit mean variance, and σ is chosen such that

    .. math:: I(X;Y) = \tfrac12 \log\det\left(I + \sigma^{-2} A L L^\top A^\top\right)

    is `information`. The published experiments do not state A, L or the sample sizes; the default is near the value at
    which their curves level off.

    Parameters
    ----------
    n_train, n_test : int
        Sizes of the samples.
    x_dim, y_dim : int
        Dimensions; 30 and 1 in [shwartzziv2019]_.
    information : float
        I(X;Y) in nats.
    seed : int
        The same seed gives the same task and sample.

    Returns
    -------
    Dataset
        It comes with entropy_y, label_noise (σ²) and gaussian_ib.

    References
    ----------
    [shwartzziv2019]_, [chechik2005]_

    Examples
    --------
    >>> data = gaussian_task(n_train=5, n_test=3, x_dim=4)
    >>> data.x_train.shape, data.y_test.shape
    ((5, 4), (3, 1))
    """
    from dualib.gaussian import GaussianIB, gaussian_entropy

    _sizes(n_train=n_train, n_test=n_test, x_dim=x_dim, y_dim=y_dim)
    target = positive(information, "information")
    rng = np.random.default_rng(seed)
    spread = rng.standard_normal((x_dim, x_dim)) / np.sqrt(x_dim)
    mix = rng.standard_normal((y_dim, x_dim)) @ spread
    signal = np.linalg.eigvalsh(mix @ mix.T)

    def excess(log_noise: float) -> float:
        return 0.5 * float(np.log1p(np.maximum(signal, 0) * np.exp(-log_noise)).sum()) - target

    centre = float(np.log(signal.mean()))
    noise = float(np.exp(brentq(excess, centre - 2 * target - 60, centre + 60, xtol=1e-14)))
    unit = np.sqrt(signal.sum() / y_dim + noise)
    mix, noise = mix / unit, noise / unit**2
    cov_y = mix @ mix.T + noise * np.eye(y_dim)
    total = n_train + n_test
    source = rng.standard_normal((total, x_dim))
    x, y = source @ spread.T, source @ mix.T + np.sqrt(noise) * rng.standard_normal((total, y_dim))
    settings = {"task": "gaussian", "x_dim": x_dim, "y_dim": y_dim, "information_nats": target, "seed": seed}
    return Dataset(
        x[:n_train],
        y[:n_train],
        x[n_train:],
        y[n_train:],
        entropy_y=float(gaussian_entropy(cov_y)),
        label_noise=noise,
        gaussian_ib=GaussianIB(spread @ spread.T, cov_y, spread @ mix.T),
        settings=settings | {"n_train": n_train, "n_test": n_test},
    )


def digits_parity(n_train: int = 500, n_test: int = 500, *, images: bool = False, seed: int = 0) -> Dataset:
    """Load the parity of scikit-learn's 8×8 handwritten digits: label +1 for even, -1 for odd; see :func:`digits`.

    Examples
    --------
    >>> data = digits_parity(n_train=4, n_test=2)
    >>> data.x_train.shape, data.y_train.ravel()
    ((4, 64), array([1., 1., 1., 1.]))
    """
    return digits(n_train, n_test, labels="parity", images=images, seed=seed)


def digits(
    n_train: int = 500, n_test: int = 500, *, labels: Labels = "classes", images: bool = False, seed: int = 0
) -> Dataset:
    """scikit-learn's 8×8 handwritten digits.

    Parameters
    ----------
    n_train, n_test : int
        At most 1797 together.
    labels : {"classes", "parity", "numbers"}
        "classes", one-hot rows of ten; "parity", +1 for even and -1 for odd; or "numbers", 0 to 9.
    images : bool
        Whether points have shape (n, 8, 8, 1), for convolutional networks, or (n, 64). Pixels lie in [0, 1].
    seed : int
        Seed of the split.

    Examples
    --------
    >>> digits(n_train=4, n_test=2).y_train.shape  # one output a class
    (4, 10)
    """
    _sizes(n_train=n_train, n_test=n_test)
    pixels, classes = digit_images()
    if n_train + n_test > len(pixels):
        raise ValueError(f"there are {len(pixels)} digits, fewer than n_train + n_test = {n_train + n_test}")
    x = pixels.reshape(-1, 8, 8, 1) if images else pixels
    (y,), said = encode_labels((classes,), labels)
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:n_train], order[n_train : n_train + n_test]
    settings = {"task": f"digits {labels}", "n_train": n_train, "n_test": n_test, "labels": said, "seed": seed}
    return Dataset(x[train], y[train], x[test], y[test], settings=settings)


def from_npz(
    path: str | Path,
    n_train: int | None = None,
    n_test: int | None = None,
    *,
    labels: Labels | None = None,
    parity: bool = False,
    images: bool = False,
    seed: int = 0,
) -> Dataset:
    """Read training and test points from an .npz file with x_train, y_train, x_test, y_test (as in MNIST's usual file).

    Parameters
    ----------
    path : path
    n_train, n_test : int or None
        How many to take at random; None takes all.
    labels : {"classes", "parity", "numbers"} or None
        "classes", ±1 for two and one-hot rows for more; "parity", +1 for even and -1 for odd integers; "numbers", the
        labels as they are; None is "numbers" where they cannot be class numbers.
    parity : bool
        The same as labels="parity".
    images : bool
        Whether to give (n, height, width) a colour axis of one, for convolutional networks; otherwise points are flattened.
    seed : int
        Seed of the choice.

    Raises
    ------
    ValueError
        If an array is missing (the message says which), more points are asked for than there are, or labels may be numbers or
        classes (integers of three or more values, or text) and `labels` does not say which.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     labels = [0, 1, 0, 1]
    ...     x = np.eye(4)
    ...     np.savez(f"{folder}/mine.npz", x_train=x, y_train=labels, x_test=x, y_test=labels)
    ...     data = from_npz(f"{folder}/mine.npz", labels="classes")
    >>> data.y_train.ravel()
    array([-1.,  1., -1.,  1.])
    """
    _sizes(**{name: size for name, size in (("n_train", n_train), ("n_test", n_test)) if size is not None})
    if parity and labels not in (None, "parity"):
        raise ValueError(f'parity=True means labels="parity", but labels={labels!r} was given')
    data = read_npz(path)
    missing = [name for name in ("x_train", "y_train", "x_test", "y_test") if name not in data]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}; it must hold x_train, y_train, x_test, y_test")
    for part, size in (("train", n_train), ("test", n_test)):
        x, y = data[f"x_{part}"], data[f"y_{part}"]
        if len(x) != len(y):
            raise ValueError(f"{path}: x_{part} has shape {x.shape} but y_{part} has shape {y.shape}")
        if size is not None and size > len(x):
            raise ValueError(f"{path} has {len(x)} {part} points, fewer than n_{part} = {size}")
    encoded, said = encode_labels((data["y_train"], data["y_test"]), "parity" if parity else labels)
    data["y_train"], data["y_test"] = encoded
    rng = np.random.default_rng(seed)
    for part, size in (("train", n_train), ("test", n_test)):
        x, y = data[f"x_{part}"], data[f"y_{part}"]
        chosen = np.arange(len(x)) if size is None else rng.permutation(len(x))[:size]
        data[f"x_{part}"], data[f"y_{part}"] = _prepare(x[chosen], images, f"{path}: x_{part}"), y[chosen]
    settings = {
        "task": Path(path).name,
        "n_train": len(data["x_train"]),
        "n_test": len(data["x_test"]),
        "labels": said,
        "seed": seed,
    }
    return Dataset(data["x_train"], data["y_train"], data["x_test"], data["y_test"], settings=settings)


def from_csv(
    path: str | Path,
    n_train: int | None = None,
    n_test: int | None = None,
    *,
    y: str | None = None,
    labels: Labels | None = None,
    seed: int = 0,
) -> Dataset:
    r"""Read points and labels from a table with the names of its columns in the first row, and split its rows at random.

    Parameters
    ----------
    path : path
        A .csv file; commas, semicolons, tabs or spaces between columns.
    n_train, n_test : int or None
        None takes a fifth of the rows, at least one, for test points, and all others for training.
    y : str or None
        The column of the labels, None for the last one. All others are the coordinates of the points, as they are.
    labels : {"classes", "parity", "numbers"} or None
        What the labels are; see :func:`from_npz`.
    seed : int
        Seed of the split.

    Raises
    ------
    ValueError
        If the file or the column is missing (the message lists the columns), a cell is no number (with its row), or there are
        fewer rows than are asked for.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lines = ["a,b,y", *(f"{i},{i * i},{0.5 * i}" for i in range(5))]
    ...     _ = Path(f"{folder}/mine.csv").write_text("\n".join(lines))
    ...     data = from_csv(f"{folder}/mine.csv")
    >>> data.x_train.shape, data.y_test.shape
    ((4, 2), (1, 1))
    """
    _sizes(**{name: size for name, size in (("n_train", n_train), ("n_test", n_test)) if size is not None})
    frame = named_columns(path)
    chosen = str(frame.columns[-1]) if y is None else y
    if chosen not in frame.columns or frame.shape[1] < 2:
        known = ", ".join(map(str, frame.columns))
        raise ValueError(f"{path} needs a column of labels, {chosen!r}, and one of points at least; it has {known}")
    x = numbers_of(frame.drop(columns=chosen), path)
    test = max(1, len(x) // 5) if n_test is None else n_test
    train = len(x) - test if n_train is None else n_train
    if train < 1 or train + test > len(x):
        raise ValueError(f"{path} has {len(x)} rows, fewer than {max(train, 1)} for training and {test} for tests")
    outputs, said = encode_labels((frame[chosen].to_numpy(),), labels)
    order = np.random.default_rng(seed).permutation(len(x))
    first, second = order[:train], order[train : train + test]
    settings: dict[str, object] = {"task": Path(path).name, "y": chosen, "n_train": train, "n_test": test}
    made = settings | {"labels": said, "seed": seed}
    return Dataset(x[first], outputs[0][first], x[second], outputs[0][second], settings=made)


def _sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        whole(size, name, 1)


def _prepare(x: np.ndarray, images: bool, name: str) -> FloatArray:
    scaled = x / 255.0 if x.dtype == np.uint8 else real_array(x, name)
    if not images:
        return scaled.reshape(len(scaled), -1)
    if scaled.ndim not in (3, 4):
        raise ValueError(
            f"{name} has shape {x.shape}, but images have (n, height, width) or (n, height, width, colours): leave out what asks "
            "for images (images=True, --images, a convolutional network), or give points of such a shape"
        )
    return scaled[..., None] if scaled.ndim == 3 else scaled
