"""Which extras a value gets. Every draw costs hypothesis about 50 µs, so several rare extras are drawn at once.

Not all at once: hypothesis favours small numbers, and an index into a table of more than about 64 entries would hardly
ever come near the end.
"""

import functools

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

__all__ = ["extras"]

_AT_ONCE = 3


@functools.cache
def extras(count: int) -> SearchStrategy[tuple[bool, ...]]:
    """Draw `count` answers, each of them yes one time in four and independent of the others; shrinks to fewer yes."""
    if count > _AT_ONCE:
        return st.tuples(extras(_AT_ONCE), extras(count - _AT_ONCE)).map(lambda parts: parts[0] + parts[1])
    numbers = range(4**count)
    answers = [tuple(number >> 2 * place & 3 == 3 for place in range(count)) for number in numbers]
    return st.sampled_from(sorted(answers, key=lambda answer: (sum(answer), answer)))
