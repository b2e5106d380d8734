"""What every fake states about itself."""

import re
from typing import ClassVar

from tunproof.corpus.claims import EVERYTHING
from tunproof.subjects.subject import Subject


class Fake(Subject):
    """An implementation with one bug. Its docstring says in one line what is wrong.

    Its name is its flag and its class in lower case: "EmptyFragment/empty-fragment-crashes".

    Attributes:
        flag: the flag that explains this class of bugs; one of its cases must catch the fake.
        modelled_on: where the bug was found or mended in the open.
        level: of the cases that must catch it; "should" where the bug is one of manners, "may" where it is a choice.
        floor: the part of all cases that it must pass all the same, for a fake is to look healthy.
        pervading: why the floor is lower than usual, if it is.
    """

    flag: ClassVar[str]
    modelled_on: ClassVar[str]
    level: ClassVar[str] = "must"
    floor: ClassVar[float] = 0.8
    pervading: ClassVar[str] = ""
    claims = EVERYTHING

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = f"{cls.flag}/{re.sub('(?<!^)(?=[A-Z])', '-', cls.__name__).lower()}"


def fakes_in(module: dict[str, object]) -> tuple[type[Fake], ...]:
    """Return the fakes that a module defines, in their order there."""
    return tuple(
        found
        for found in module.values()
        if isinstance(found, type) and issubclass(found, Fake) and found.__module__ == module["__name__"]
    )
