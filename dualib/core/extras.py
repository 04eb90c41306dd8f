"""Libraries that the package does without until something needs them: who lacks one is told what installs it."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtra(ImportError):
    """A library that is not there; the message is one line, and names the extra that brings it."""


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
    MissingExtra
        If the library is not there.

    Examples
    --------
    >>> with extra("networks", "finite networks need JAX"):
    ...     import no_such_library
    Traceback (most recent call last):
    dualib.core.extras.MissingExtra: finite networks need JAX: pip install "ntk-dualib[networks]"
    """
    try:
        yield
    except ModuleNotFoundError:
        raise MissingExtra(f'{message}: pip install "ntk-dualib[{name}]"') from None
