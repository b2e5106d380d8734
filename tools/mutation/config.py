"""What is mutated, how, and how much must be detected."""

from typing import Final

TOOL: Final = "cosmic-ray==8.7.0"
"""As in pyproject's extra `mutants`. Another version may number and make its mutants otherwise."""

KILLED_AT_LEAST: Final = 95.0  # percent of all mutants
ARGUED_AT_MOST: Final = 3.0  # percent of all mutants

MODULES: Final[dict[str, str]] = {
    "segment": "",
    "virtio": "",
    "ip": "",
    "tcp": "",
    "udp": "",
    "transport": "",
    "checksum": "",
    "coalesce": "",
    "superpacket": "",
    "geometry": "",
    "offload": "OffloadQueue",
    "container": "BaseQueue.write",
}
"""Modules of tio, and what in them is mutated if it is not all: what becomes of bytes, read or written.

Not here: `vnet_rules` judges what others wrote, `queue` has abstract methods only, `errors` and `wire` have data only;
a test compares the tables of `wire`, with all the fields that the reference never reads, with scapy and C. How fds are
taken, lent from and closed (`endpoint`, `poll`, `tuntap`, the rest of `container` and `offload`) is the business of the
lifecycle cases, which need a kernel's timing to tell right from wrong and are no measure of what bytes prove.
"""

_ARITHMETIC = ("Add", "Sub", "Mul", "FloorDiv", "Mod", "RShift", "LShift", "BitOr", "BitAnd", "BitXor")
_ORDER = ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")


# Flags and fields are combined from disjoint bits: there | + and ^ are the same.
_SAME = {("BitOr", "Add"), ("BitOr", "BitXor")}


def _pairs(kind: str, names: tuple[str, ...]) -> list[str]:
    return [f"{kind}_{old}_{new}" for old in names for new in names if old != new and (old, new) not in _SAME]


OPERATORS: Final = (
    # Not to Div: a float where an integer belongs raises TypeError at once, which proves nothing about the corpus.
    # Not to Pow: the same for bytes, and with integers it makes numbers that only cost time.
    *_pairs("ReplaceBinaryOperator", _ARITHMETIC),
    *_pairs("ReplaceComparisonOperator", _ORDER),
    # `is` for `==` and vice versa tests how CPython keeps numbers and enum members, nothing about packets.
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceUnaryOperator_USub_Invert",
    "ReplaceUnaryOperator_USub_Not",
    "ReplaceUnaryOperator_Delete_USub",
    "ReplaceUnaryOperator_Invert_UAdd",
    "ReplaceUnaryOperator_Invert_USub",
    "ReplaceUnaryOperator_Invert_Not",
    "ReplaceUnaryOperator_Delete_Invert",
    "ReplaceUnaryOperator_Delete_Not",
    "AddNot",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "NumberReplacer",
    "ZeroIterationForLoop",
)
"""The tool's operators that are used; `EXCLUDED` has the others."""

EXCLUDED: Final[dict[str, str]] = {
    "ReplaceBinaryOperator_*_Div, _Div_*": "a float raises TypeError wherever the reference uses it; it divides by //",
    "ReplaceBinaryOperator_*_Pow, _Pow_*": "TypeError on bytes, and numbers too large for anything but a timeout",
    "ReplaceComparisonOperator with Is or IsNot on one side": "identity of numbers is CPython's business",
    "ReplaceBinaryOperator_BitOr_Add, _BitOr_BitXor": "flags are made of bits that are apart: all three are the same",
    "ReplaceUnaryOperator_UAdd_*": "the reference has no unary plus",
    "ExceptionReplacer": "puts a name into `except` that does not exist: a NameError, not another behaviour",
    "RemoveDecorator": "@property, @dataclass, @classmethod: nothing works without; @abstractmethod: nothing changes",
    "VariableReplacer, VariableInserter": "need names to be listed by hand, and choose operators at random",
    "NoOp": "changes nothing",
}
"""The tool's operators that are not used, and why."""
