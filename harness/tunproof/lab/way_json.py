"""Ways as data: how a finding names the way that its frame took, and how a guest is told which to take."""

from dataclasses import asdict
from typing import Annotated

import msgspec

from tio.linux import Way
from tio.tuntap import Offload
from tio.virtio import HEADER_SIZE

__all__ = ["ToldWay", "told_way", "way_of"]

_Size = Annotated[int, msgspec.Meta(ge=HEADER_SIZE, le=4096)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class ToldWay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of a `tio.linux.Way`; those that are as in any other may be left out."""

    header_size: _Size = HEADER_SIZE
    forwarded: bool = False
    mtu: Annotated[int, msgspec.Meta(ge=68, le=65535)] = 1500
    reader: _Number | None = None
    reader_header_size: _Size = HEADER_SIZE
    reader_fill: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    gso_max_segs: _Number = 65535
    attached: bool = True
    up: bool = True
    readable: _Number | None = None


def told_way(way: Way) -> ToldWay:
    """Return a way as data."""
    return ToldWay(**asdict(way) | {"reader": None if way.reader is None else int(way.reader)})


def way_of(told: ToldWay) -> Way:
    """Return the way that was told."""
    return Way(**msgspec.structs.asdict(told) | {"reader": None if told.reader is None else Offload(told.reader)})
