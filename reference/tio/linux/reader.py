"""What the reader of a TUN gets whole, with what vnet header: `validate_xmit_skb`, `virtio_net_hdr_from_skb`."""

from tio.linux.rules import fact, loss
from tio.linux.skb import ECN, TCPV4, TCPV6, UDP_L4, Skb
from tio.linux.traits import Trait
from tio.linux.way import Way
from tio.tuntap import Offload
from tio.virtio import HEADER_SIZE, ByteOrder, VnetFlag
from tio.wire import TcpLayout, UdpLayout, VnetLayout

__all__ = ["Reader", "linear_bytes", "offload_of", "partial_of"]

_HEADER = VnetLayout.packer(ByteOrder.HOST, HEADER_SIZE)
_NEEDS_CSUM, _DATA_VALID = int(VnetFlag.NEEDS_CSUM), int(VnetFlag.DATA_VALID)
_TCP_CHECKSUM, _UDP_CHECKSUM = TcpLayout.CHECKSUM.offset, UdpLayout.CHECKSUM.offset

_PAGE = 4096
_HEADROOM = 64  # NET_SKB_PAD
_MAX_HEAD = _PAGE - _HEADROOM - 320  # SKB_MAX_HEAD: a page less headroom and skb_shared_info (x86-64, pages of 4 KiB)
_GSO_MAX_SIZE = 65536  # GSO_LEGACY_MAX_SIZE, a link's default

# As plain numbers: arithmetic on an IntFlag is about ten times slower.
_NEEDED = {TCPV4: int(Offload.TSO4), TCPV6: int(Offload.TSO6), UDP_L4: int(Offload.USO)}
_TSO_ECN = int(Offload.TSO_ECN)


def _has_header(way: Way) -> bool:
    return way.reader is not None


def _takes_tunnels(way: Way) -> bool:
    return bool((way.reader or 0) & Offload.UDP_TUNNEL)


def _may_take_whole(way: Way) -> bool:
    return way.reader is not None and bool(way.reader & (Offload.TSO4 | Offload.TSO6 | Offload.USO))


@loss("tun_vnet_hdr_tnl_put", needs=Trait.TUNNEL_READ_EFAULT, on=_takes_tunnels)
def tunnel_reader_with_short_header(way: Way) -> bool:
    """A reader that takes UDP tunnels with a vnet header under 24 bytes gets EFAULT instead of any packet."""
    return _takes_tunnels(way) and way.reader_header_size < VnetLayout.size


def _may_take_few(way: Way) -> bool:
    return _may_take_whole(way) and way.gso_max_segs < 65535


# What is passed on whole ---------------------------------------------------------------------------------------------


@fact("netif_skb_features", on=_may_take_whole)
def offload_of(skb: Skb) -> int:
    """The offload that a reader must take to get a superpacket whole; none is enough for UFO."""
    return _NEEDED.get(skb.type, -1)


@fact("net_gso_ok", on=_may_take_whole)
def ecn_needs_its_own_offload(skb: Skb, offload: int) -> bool:
    """A superpacket with the ECN bit needs TSO_ECN as well; the CWR flag does not matter."""
    return skb.raw_type < ECN or bool(offload & _TSO_ECN)


@fact("gso_features_check", on=_may_take_whole)
def too_long_to_be_whole(skb: Skb) -> bool:
    """65536 bytes and more are segmented for every reader: a superpacket must be shorter than gso_max_size."""
    return len(skb.data) >= _GSO_MAX_SIZE


@fact("gso_features_check", needs=Trait.GSO_SEGS_COUNTED, on=_may_take_few)
def more_segments_than_the_link_takes(skb: Skb, most: int) -> bool:
    """More segments than gso_max_segs: segmented. They are counted over what follows the minimum headers."""
    return -(-(len(skb.data) - skb.headers) // skb.gso_size) > most


# The vnet header -----------------------------------------------------------------------------------------------------


@fact("tun_alloc_skb", needs=Trait.LINEAR_CAPPED, on=_may_take_whole)
def linear_bytes(skb: Skb, read: int) -> int:
    """hdr_len is the linear length: all of a short frame, else what was requested, at most 3712, or what was read."""
    written = skb.size - len(skb.header)
    if _HEADROOM + written < _PAGE:
        return len(skb.data)
    return min(max(min(skb.linear or _MAX_HEAD, _MAX_HEAD), read), len(skb.data))


@fact("tun_alloc_skb", without=Trait.LINEAR_CAPPED, on=_may_take_whole)
def linear_bytes_uncapped(skb: Skb, read: int) -> int:
    """hdr_len is the linear length; writing with hdr_len 0 made everything linear."""
    return linear_bytes(skb, read) if skb.linear else len(skb.data)


@fact("virtio_net_hdr_from_skb", on=_has_header)
def partial_fields(start: int, offset: int) -> bytes:
    """A packet with a partial checksum has NEEDS_CSUM and says where the checksum is."""
    return _HEADER.pack(_NEEDS_CSUM, 0, 0, 0, start, offset)


@fact("virtio_net_hdr_from_skb", without=Trait.DATA_VALID_LOST, on=_has_header)
def known_good() -> bytes:
    """A packet whose checksum the kernel computed itself, a fragment of UFO, has DATA_VALID."""
    return _HEADER.pack(_DATA_VALID, 0, 0, 0, 0, 0)


@fact("tun_put_user", needs=Trait.VNET_PAD, on=lambda way: _has_header(way) and way.reader_header_size > HEADER_SIZE)
def padding(size: int) -> bytes:
    """What follows the first 10 bytes of a longer header is zero."""
    return bytes(size)


def partial_of(skb: Skb) -> tuple[int, int]:
    """Return csum_start and csum_offset of a superpacket and its segments: as written, or else from its type."""
    if skb.needs_csum:
        return skb.csum_start, skb.csum_offset
    return skb.l4, _UDP_CHECKSUM if skb.type == UDP_L4 else _TCP_CHECKSUM


class Reader:
    """A reader with a vnet header that takes some offloads; or, with `way.reader` None, one without either."""

    def __init__(self, traits: frozenset[Trait], way: Way) -> None:
        self.has_header = way.reader is not None
        self.offload = int(way.reader or 0)
        self._takes_superpackets = bool(self.offload & ~Offload.CSUM)
        self.completes = not self.offload & Offload.CSUM
        self.faults = Trait.TUNNEL_READ_EFAULT in traits and self.has_header and tunnel_reader_with_short_header(way)
        self._max_segs = way.gso_max_segs if Trait.GSO_SEGS_COUNTED in traits else None
        self._linear = linear_bytes if Trait.LINEAR_CAPPED in traits else linear_bytes_uncapped
        self._known_good = bytes(HEADER_SIZE) if Trait.DATA_VALID_LOST in traits else known_good()
        rest = way.reader_header_size - HEADER_SIZE
        pads = rest > 0 and Trait.VNET_PAD in traits
        self.facts = ("padding",) if pads and self.has_header else ()
        self._rest = padding(rest) if pads else bytes((way.reader_fill,)) * rest
        self._plain = bytes(HEADER_SIZE) + self._rest

    def may_take(self, skb: Skb, trail: list[str]) -> bool:
        """Whether this reader gets a superpacket whole, unless it cannot be segmented."""
        if not self._takes_superpackets:
            return False
        trail.append("offload_of")
        needed = offload_of(skb)
        if self.offload & needed != needed:
            return False
        if not ecn_needs_its_own_offload(skb, self.offload):
            trail.append("ecn_needs_its_own_offload")
            return False
        if too_long_to_be_whole(skb):
            trail.append("too_long_to_be_whole")
            return False
        if self._max_segs is not None and more_segments_than_the_link_takes(skb, self._max_segs):
            trail.append("more_segments_than_the_link_takes")
            return False
        return True

    def plain(self, packets: list[bytes]) -> list[bytes]:
        """Return the reads for packets that need nothing more."""
        return [self._plain + packet for packet in packets] if self.has_header else packets

    def partial(self, packets: list[bytes], start: int, offset: int, trail: list[str]) -> list[bytes]:
        """Return the reads for packets whose checksum is still to be completed."""
        trail.append("partial_fields")
        header = partial_fields(start, offset) + self._rest
        return [header + packet for packet in packets]

    def fragments(self, packets: list[bytes], trail: list[str]) -> list[bytes]:
        """Return the reads for UFO fragments."""
        if not self.has_header:
            return packets
        trail.append("known_good")
        return [self._known_good + self._rest + packet for packet in packets]

    def whole(self, skb: Skb, packet: bytes, transport: int, trail: list[str]) -> bytes:
        """Return the read for a superpacket that is passed on whole; its headers end at `transport`."""
        trail += ("partial_fields", self._linear.__name__)
        kind = skb.type | (skb.raw_type & ECN)
        # If csum_start is not checked, more than the headers may have been read on write.
        read = max(transport, skb.headers, skb.csum_end if skb.needs_csum else 0)
        length = self._linear(skb, read)
        return _HEADER.pack(_NEEDS_CSUM, kind, length, skb.gso_size, *partial_of(skb)) + self._rest + packet
