"""The errors of this library. Each message says what is wrong and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager


class FluxformerError(Exception):
    """Base class of every error that this library raises on bad input."""


class BundleError(FluxformerError):
    """A model file is missing, damaged, or does not fit the code that reads it."""


class SourceError(FluxformerError):
    """A video, bag, folder or camera cannot be opened or read."""


class ImageError(FluxformerError):
    """An image has a shape, type or encoding that cannot be used."""


class ConfigError(FluxformerError):
    """A setting is outside its range or contradicts another one."""


class PeopleError(FluxformerError):
    """People cannot be found: LiteRT or a net for finding them is missing or damaged."""


class BackendError(FluxformerError):
    """A backend cannot be used on this machine, or its results differ too much from the model."""


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Turn an OSError in the context into a ConfigError that names the file or folder."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def first_line(error: Exception) -> str:
    """The first line of an error's message; the name of its type if there is no message."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
