"""Libraries that the package does without until something needs them: who lacks one is told what installs it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str, message: str) -> Iterator[None]:
    """Around an import: a missing library becomes one line that names the extra of this package which brings it.

    Parameters
    ----------
    name : str
        The extra, as in ``pip install "ntk-dualib[networks]"``.
    message : str
        What needs which library, without a full stop.

    Raises
    ------
    ImportError
        If the library is not there.

    Examples
    --------
    >>> with extra("networks", "finite networks need JAX"):
    ...     import no_such_library
    Traceback (most recent call last):
    ImportError: finite networks need JAX: pip install "ntk-dualib[networks]"
    """
    try:
        yield
    except ModuleNotFoundError:
        raise ImportError(f'{message}: pip install "ntk-dualib[{name}]"') from None
