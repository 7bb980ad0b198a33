"""What calls raise: a class for each kind of error that the library knows, by its name."""


class Error(Exception):
    """What every error of the library is one of. The message names the plan, the field, what was expected and given."""

    def __init__(self, message: str, needed: int = 0, got: int = 0, code: int = 0) -> None:
        super().__init__(message)
        self.needed = needed
        """BufferTooSmall, WorkspaceTooSmall: the bytes that are needed."""
        self.got = got
        """BufferTooSmall, WorkspaceTooSmall: the bytes that were given."""
        self.code = code
        """Backend: the status of the driver, compiler or library. MalformedFile: the byte offset. Io: errno."""


class InvalidProblem(Error):
    """An impossible or inconsistent size, shape, range, presence or overlap."""


class Unsupported(Error):
    """A well-formed request that is not served."""


class MisalignedOperand(Error):
    """A pointer that is no multiple of its element size, or a workspace that is none of 256."""


class BufferTooSmall(Error):
    """A tensor in less memory than it needs: `needed` and `got`."""


class WorkspaceTooSmall(Error):
    """A workspace of less bytes than the plan's `workspace_size`: `needed` and `got`."""


class Backend(Error):
    """Driver, compiler or library failed, or memory was short: `code`."""


class MalformedFile(Error):
    """A file that is not what it should be: `code` is the byte offset."""


class Io(Error):
    """A file that could not be read or written: `code` is errno."""
