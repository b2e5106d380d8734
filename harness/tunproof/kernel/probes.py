"""How a kernel behaves where kernels differ, determined by frames that tell traits apart, never by its version.

One function for each trait that shows from outside: it sends a frame or two and says whether the kernel has the trait.
The probes use an abstract `Device`, so they can be tested on models of kernels that are not available.

A regression must not look like another trait. Two rules keep the probes apart:

- A frame with NEEDS_CSUM and a gso_size has a length that is a multiple of gso_size, and a gso_size above what the
  headers need: a kernel that has `gso_remainder_checked` lets it through.
- A frame with a type and without NEEDS_CSUM has the csum_offset of its type: a kernel that has `nocsum_csum_offset`
  lets it through.

`nocsum_min_len` also shows in kernels that have `dissected`: those measure even more precisely, so they have both.
"""

import errno
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from scapy.layers.inet import TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, Jumbo
from scapy.packet import Packet, Raw

from tio.checksum import checksum, pseudo_header_sum
from tio.linux import ABOUT, FORWARD, REDIRECT, Delivered, KernelOutcome, Refused, Trait, Traits, Way
from tio.tuntap import Offload
from tio.virtio import HEADER_SIZE, VnetFlag
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout, TunnelLayout, VnetLayout
from tunproof import lab
from tunproof.errors import EnvironmentProblem
from tunproof.lab import Device, RunningKernel
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, payload, plain, superpacket

__all__ = ["PROBES", "UNSEEN", "Probe", "Probed", "probe", "running_kernel", "running_traits"]

Probe = Callable[[Device], bool]
"""Probe a device for a trait. Raises `EnvironmentProblem` or `OSError` if that cannot be known."""

UNSEEN: Final = {trait: about.unseen for trait, about in ABOUT.items() if about.unseen}
"""The traits that no frame can tell from outside, and why."""


@dataclass(frozen=True, slots=True)
class Probed:
    """The traits that a kernel was found to have, and why others are unknown. It lacks all the rest but `UNSEEN`."""

    traits: Traits
    unknown: dict[Trait, str]


def probe(device: Device) -> Probed:
    """Return what the probes find. A trait that could not be probed is unknown, with the reason.

    Raises `EnvironmentProblem` if not even a plain packet comes through.
    """
    _packets(device, plain(ip4() / UDP(), payload(8)))
    found: set[Trait] = set()
    unknown: dict[Trait, str] = {}
    for trait, has in PROBES.items():
        needs = ABOUT[trait].needs
        if needs in unknown:
            unknown[trait] = f"it shows only with {needs}, which is unknown"
        elif needs is None or needs in found:
            try:
                if has(device):
                    found.add(trait)
            except EnvironmentProblem as problem:
                unknown[trait] = problem.what
            except OSError as error:
                unknown[trait] = f"the lab for it was refused: {error.strerror}"
    return Probed(frozenset(found), unknown)


@cache
def running_kernel() -> Probed:
    """Return what the probes find in the running kernel, once per process. Raises `EnvironmentProblem`."""
    lab.ensure()
    with RunningKernel() as kernel:
        return probe(kernel)


def running_traits() -> Traits:
    """Return the traits of the running kernel, which select its expected answers. Raises `EnvironmentProblem`."""
    return running_kernel().traits


PROBES: Final[dict[Trait, Probe]] = {}
"""The probes, in order: a trait comes after the one that it needs."""


def _tells(trait: Trait) -> Callable[[Probe], Probe]:
    def register(asks: Probe) -> Probe:
        PROBES[trait] = asks
        return asks

    return register


_TSO = Offload.CSUM | Offload.TSO4
_READER = Way(reader=_TSO, gso_max_segs=2)
_LONG_HEADER = Way(reader=Offload.CSUM, reader_header_size=12, reader_fill=0xAA)
_TUNNELS = Way(header_size=24)

_CHECKSUM_OF_NOBODY = {"flags": 0, "csum_start": 0}


# What may be written -------------------------------------------------------------------------------------------------


@_tells(Trait.HDR_LEN_LOOSE)
def _hdr_len_loose(device: Device) -> bool:
    """After a vnet header of 12 bytes, hdr_len may be one more than the packet's length."""
    packet = packet_bytes(ip4() / UDP()) + payload(8)
    header = bytes(2) + (len(packet) + 1).to_bytes(2, sys.byteorder) + bytes(8)
    return isinstance(device.send(header + packet, Way(header_size=12)), Delivered)


@_tells(Trait.LONG_FRAMES)
def _long_frames(device: Device) -> bool:
    """A packet of 70028 bytes, 28 of them linear, is not EMSGSIZE."""
    return device.send(_long_packet(), REDIRECT) != Refused(errno.EMSGSIZE)


@_tells(Trait.USO)
def _uso(device: Device) -> bool:
    """A legal UDP superpacket of three segments is accepted."""
    return not _is_invalid(device, _udp(length=300, gso_size=100))


@_tells(Trait.USO_STRICT)
def _uso_strict(device: Device) -> bool:
    """The same without NEEDS_CSUM is refused."""
    return _is_invalid(device, _udp(length=300, gso_size=100, flags=0))


@_tells(Trait.USO_128)
def _uso_128(device: Device) -> bool:
    """One of 65 segments is accepted."""
    return not _is_invalid(device, _udp(length=65 * 56, gso_size=56))


@_tells(Trait.UDP_TUNNEL)
def _udp_tunnel(device: Device) -> bool:
    """A TCP superpacket in a UDP tunnel whose outer IP header has 16 bytes of options is accepted."""
    return not _is_invalid(device, _tunnel(options=16), _TUNNELS)


@_tells(Trait.CSUM_START_FLOOR)
def _csum_start_floor(device: Device) -> bool:
    """A packet whose checksum starts at byte 10, inside the IP header, is refused."""
    return _is_invalid(device, plain(ip4() / UDP(), payload(8), csum_start=10))


@_tells(Trait.CSUM_START_CEILING)
def _csum_start_ceiling(device: Device) -> bool:
    """A packet whose checksum starts at byte 65471, with 64 bytes of headroom at 65535, is refused."""
    return _is_invalid(device, plain(ip4() / UDP(), payload(65471 + 8 - 28), csum_start=65471))


@_tells(Trait.NOCSUM_MIN_LEN)
def _nocsum_min_len(device: Device) -> bool:
    """A TCP superpacket without NEEDS_CSUM and with gso_size bytes of payload comes out as one packet."""
    return isinstance(device.send(_tcp(length=64, gso_size=24, **_CHECKSUM_OF_NOBODY), REDIRECT), Delivered)


@_tells(Trait.DISSECTED)
def _dissected(device: Device) -> bool:
    """An IPv6 packet of type TCPV4 without NEEDS_CSUM is refused."""
    return _is_invalid(device, _tcp(version=6, length=160, gso_size=50, gso_type=1, **_CHECKSUM_OF_NOBODY))


@_tells(Trait.TSO_CSUM_CHECKED)
def _tso_csum_checked(device: Device) -> bool:
    """A TCP superpacket with the csum_offset of UDP is refused."""
    return _is_invalid(device, _tcp(length=300, gso_size=100, csum_offset=6))


@_tells(Trait.MIN_GSO_8)
def _min_gso_8(device: Device) -> bool:
    """16 bytes of TCP payload with a gso_size of 4 make two segments, not four."""
    return len(_packets(device, _tcp(length=56, gso_size=4, **_CHECKSUM_OF_NOBODY))) == 2


# What is segmented ---------------------------------------------------------------------------------------------------


@_tells(Trait.HBH_JUMBO_STRIP)
def _hbh_jumbo_strip(device: Device) -> bool:
    """The segments of an IPv6 superpacket of 65600 bytes with a jumbo payload option carry TCP directly."""
    return _packets(device, _jumbo())[0][IPv6Layout.NEXT_HEADER.offset] == _TCP


@_tells(Trait.BIGTCP_CSUM)
def _bigtcp_csum(device: Device) -> bool:
    """The first segment of a TCP superpacket of 66000 bytes has a correct checksum."""
    segment = _packets(device, _big_tcp())[0]
    transport = segment[IPv4Layout.size :]
    return checksum(transport, pseudo_header_sum(segment[IPv4Layout.ADDRESSES], _TCP, len(transport))) == 0xFFFF


# What is forwarded ---------------------------------------------------------------------------------------------------


@_tells(Trait.TOTLEN0)
def _totlen0(device: Device) -> bool:
    """A TCP superpacket with an IPv4 total length of 0 is forwarded."""
    return isinstance(device.send(_tcp(length=300, gso_size=100, network=(("len", 0),)), FORWARD), Delivered)


@_tells(Trait.PAYLEN0)
def _paylen0(device: Device) -> bool:
    """A TCP superpacket with an IPv6 payload length of 0 is forwarded, if one with the correct length is."""
    _packets(device, _tcp(version=6, length=600, gso_size=200), FORWARD)
    asked = _tcp(version=6, length=600, gso_size=200, network=(("plen", 0),))
    return isinstance(device.send(asked, FORWARD), Delivered)


@_tells(Trait.FRAG_CSUM_START)
def _frag_csum_start(device: Device) -> bool:
    """A packet of 1624 bytes whose checksum starts at byte 20, inside IPv4 options, is lost at an MTU of 1500."""
    packet = plain(ip4(flags=0, options=_nops(4)) / UDP(), payload(1592), csum_start=20)
    return not isinstance(device.send(packet, FORWARD), Delivered)


# What a reader gets --------------------------------------------------------------------------------------------------


@_tells(Trait.GSO_SEGS_COUNTED)
def _gso_segs_counted(device: Device) -> bool:
    """A superpacket of three segments is segmented for a reader whose link takes two as one."""
    return len(_packets(device, _tcp(length=300, gso_size=100), _READER)) > 1


@_tells(Trait.LINEAR_CAPPED)
def _linear_capped(device: Device) -> bool:
    """A superpacket of 65535 bytes that requests no linear part is read with an hdr_len below its length."""
    asked = _tcp(length=65535, gso_size=40000, hdr_len=0, **_CHECKSUM_OF_NOBODY)
    read = _packets(device, asked, _READER)
    return len(read) == 1 and int.from_bytes(read[0][VnetLayout.HDR_LEN.span], "little") < 65535


@_tells(Trait.VNET_PAD)
def _vnet_pad(device: Device) -> bool:
    """With a reader's buffer full of 0xAA, bytes 10 and 11 of a 12-byte vnet header are not 0xAA."""
    read = _packets(device, plain(ip4() / UDP(), payload(8)), _LONG_HEADER)[0]
    return read[VnetLayout.NUM_BUFFERS.span] == bytes(2)


# Regressions ---------------------------------------------------------------------------------------------------------


@_tells(Trait.GSO_REMAINDER_CHECKED)
def _gso_remainder_checked(device: Device) -> bool:
    """Two segments of 1240 payload bytes are refused, 2520 being 40 more than twice that; two of 1260 are not."""
    refused = _is_invalid(device, _tcp(length=40 + 2 * 1240, gso_size=1240))
    return refused and not _is_invalid(device, _tcp(length=2 * 1260, gso_size=1260))


@_tells(Trait.HBH_JUMBO_ETHERNET)
def _hbh_jumbo_ethernet(device: Device) -> bool:
    """The segments of the superpacket from `hbh_jumbo_strip` do not have its ports."""
    segment, sent = _packets(device, _jumbo())[0][IPv6Layout.size :], _jumbo()[HEADER_SIZE + IPv6Layout.size + 8 :]
    return segment[TcpLayout.PORTS] != sent[TcpLayout.PORTS]


@_tells(Trait.NOCSUM_CSUM_OFFSET)
def _nocsum_csum_offset(device: Device) -> bool:
    """A TCP superpacket without NEEDS_CSUM and with a csum_offset of 0 is refused."""
    return _is_invalid(device, _tcp(length=300, gso_size=100, csum_offset=0, **_CHECKSUM_OF_NOBODY))


@_tells(Trait.TUNNEL_OUTER_ETHERNET)
def _tunnel_outer_ethernet(device: Device) -> bool:
    """A TCP superpacket in a UDP tunnel with a plain outer IPv4 header is refused."""
    return _is_invalid(device, _tunnel(options=0), _TUNNELS)


@_tells(Trait.TUNNEL_READ_EFAULT)
def _tunnel_read_efault(device: Device) -> bool:
    """A plain packet does not reach a reader that takes UDP tunnels with a vnet header of 12 bytes."""
    way = replace(_LONG_HEADER, reader=_TSO | Offload.UDP_TUNNEL)
    return not isinstance(device.send(plain(ip4() / UDP(), payload(8)), way), Delivered)


@_tells(Trait.DATA_VALID_LOST)
def _data_valid_lost(device: Device) -> bool:
    """The fragments of a UFO packet, whose checksum the kernel computed itself, are read without DATA_VALID."""
    read = _packets(device, _udp(length=312, gso_size=104, gso_type=3), _READER)[0]
    return not read[VnetLayout.FLAGS.offset] & VnetFlag.DATA_VALID


@_tells(Trait.EXTENSIONS_READ_AS_TCP)
def _extensions_read_as_tcp(device: Device) -> bool:
    """A TCP superpacket after 8 bytes of destination options is forwarded with one sequence number and not another."""
    _packets(device, _behind_options(sequence=_LIKE_A_DATA_OFFSET), FORWARD)
    return not isinstance(device.send(_behind_options(sequence=0), FORWARD), Delivered)


# Frames --------------------------------------------------------------------------------------------------------------

_TCP = 6
_LIKE_A_DATA_OFFSET = 5 << 28

Fields = tuple[tuple[str, int], ...]


@cache
def _tcp(*, length: int, gso_size: int, version: int = 4, network: Fields = (), **vnet: int) -> bytes:
    """Return a TCP superpacket of `length` bytes in all; `network` replaces fields of its IP header."""
    headers = (ip4(**dict(network)) if version == 4 else ip6(**dict(network))) / TCP()
    return superpacket(headers, payload(length - len(headers)), gso_size=gso_size, **vnet)


@cache
def _udp(*, length: int, gso_size: int, **vnet: int) -> bytes:
    """Return a UDP superpacket of `length` bytes in all."""
    return superpacket(ip4() / UDP(), payload(length - 28), gso_size=gso_size, **vnet)


@cache
def _long_packet() -> bytes:
    return frame(packet_bytes(ip4() / UDP()) + bytes(70_000), hdr_len=28)


def _nops(count: int) -> list[Packet]:
    return [IPOption_NOP() for _ in range(count)]


@cache
def _tunnel(*, options: int) -> bytes:
    """Return a TCP superpacket of 600 bytes in all in a VXLAN tunnel, after a vnet header of 24 bytes."""
    outer = packet_bytes(ip4(options=_nops(options)) / UDP(sport=4789, dport=4789, chksum=0) / Raw(bytes(8)))
    inner = superpacket(ip4() / TCP(), payload(600 - len(outer) - 40), gso_size=200, csum_start=len(outer) + 20)
    transport, network = 20 + options, len(outer)
    header = bytearray(inner[:HEADER_SIZE].ljust(TunnelLayout.size, b"\0"))
    header[VnetLayout.GSO_TYPE.offset] |= 0x20  # an outer header of IPv4
    header[TunnelLayout.OUTER_TRANSPORT.span] = transport.to_bytes(2, "little")
    header[TunnelLayout.INNER_NETWORK.span] = network.to_bytes(2, "little")
    return bytes(header) + outer + inner[HEADER_SIZE:]


@cache
def _jumbo() -> bytes:
    """Return an IPv6 TCP superpacket of 65600 bytes with hop-by-hop options that state the length (RFC 2675).

    Its sequence number is one that a kernel with `hbh_jumbo_ethernet` takes for the length of a TCP header.
    """
    options = IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=65560)], autopad=0, nh=_TCP)
    headers = ip6(plen=0) / options / TCP(chksum=0, seq=_LIKE_A_DATA_OFFSET)
    packet = packet_bytes(headers) + payload(65600 - 68)
    return frame(packet, gso_type=4, gso_size=40000, csum_offset=16)


@cache
def _behind_options(*, sequence: int) -> bytes:
    """Return an IPv6 TCP superpacket of 800 bytes in all after destination options."""
    headers = ip6() / IPv6ExtHdrDestOpt() / TCP(seq=sequence)
    return superpacket(headers, payload(800 - len(headers)), gso_size=200)


@cache
def _big_tcp() -> bytes:
    """Return an IPv4 TCP superpacket of 66000 bytes, which its total length cannot express."""
    packet = packet_bytes(ip4(len=0) / TCP(chksum=0)) + payload(66000 - 40)
    return frame(packet, gso_type=1, gso_size=33000, csum_offset=16)


# Outcomes ------------------------------------------------------------------------------------------------------------


def _is_invalid(device: Device, asked: bytes, way: Way = REDIRECT) -> bool:
    return device.send(asked, way) == Refused(errno.EINVAL)


def _packets(device: Device, asked: bytes, way: Way = REDIRECT) -> tuple[bytes, ...]:
    """Return what came out. Raises `EnvironmentProblem` if nothing did, though every kernel delivers such a frame."""
    outcome: KernelOutcome = device.send(asked, way)
    if isinstance(outcome, Delivered):
        return outcome.packets
    raise EnvironmentProblem(
        f"a frame that every kernel delivers was not delivered: {outcome}",
        cure="`tunproof doctor` tries each wiring; a kernel without IPv6 delivers none of it",
    )
