"""The errors a user of this library may want to catch; each message says what is wrong and what to do."""


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


class BackendError(FluxformerError):
    """A backend cannot be used here, or what it computes is too far from the model."""
