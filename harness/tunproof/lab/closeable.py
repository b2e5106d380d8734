"""What is closed at the end of a `with` block."""

from abc import ABC, abstractmethod
from typing import Self

__all__ = ["Closeable"]


class Closeable(ABC):
    """A context manager that closes itself, however the block ends."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
