"""The exceptions of the package, in one hierarchy.

    S2HError
    ├── ConfigError      the config asks for something that does not exist or cannot be
    ├── DataError        a file is missing, torn, or not what its place in the chain requires
    ├── ModelError       a model or its processor cannot be built, loaded or used as asked
    └── TrainingError    a training run is wrong from the start or went wrong on the way

Each message says what is wrong, what was found, what was expected, and what to do.
"""


class S2HError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(S2HError):
    """The config asks for something that does not exist or cannot be."""


class DataError(S2HError):
    """A file is missing, torn, or not what its place in the chain requires."""


def unreadable(what: str, path: object, error: object, *, remove: object = "it") -> DataError:
    """The error for a result that is torn or was written by another program.

    Args:
        what: kind of file, e.g. ``mixture``.
        path: of the file.
        error: why it cannot be read.
        remove: what to delete so that the workflow makes it again, where that is not the file itself.
    """
    return DataError(f"the {what} {path} cannot be read ({error}); delete {remove} and run again.")


class ModelError(S2HError):
    """A model or its processor cannot be built, loaded or used as asked."""


class TrainingError(S2HError):
    """A training run is wrong from the start or went wrong on the way."""
