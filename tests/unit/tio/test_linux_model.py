"""The model of Linux by itself: its rules are listed, traits change what they name, and no bytes crash it."""

import errno
import os
import random

import pytest

from tio.checksum import checksum
from tio.linux import (
    ABOUT,
    FORWARD,
    REDIRECT,
    RULES,
    Delivered,
    Lost,
    Model,
    NotModelled,
    Refused,
    Trait,
    Way,
    predict,
    readback,
    traits_of,
)
from tio.tuntap import Offload

NOW = traits_of("6.18.44")
EINVAL = Refused(errno.EINVAL)

IPV4 = bytes.fromhex("4500 0040 1234 4000 4006 0000 c0000201 c6336402")
TCP = bytes.fromhex("9c40 01bb 01020304 00000000 5018 2000 0000 0000")
PAYLOAD = bytes(range(24))


def frame(
    packet: bytes,
    *,
    flags: int = 1,
    gso_type: int = 1,
    hdr_len: int = 40,
    gso_size: int = 8,
    csum_start: int = 20,
    csum_offset: int = 16,
) -> bytes:
    words = (hdr_len, gso_size, csum_start, csum_offset)
    return bytes((flags, gso_type)) + b"".join(word.to_bytes(2, "little") for word in words) + packet


def superpacket(**fields: int) -> bytes:
    partial = checksum(IPV4[12:20], 6 + 44)
    return frame(IPV4 + TCP[:16] + partial.to_bytes(2, "big") + TCP[18:] + PAYLOAD, **fields)


def packets(outcome: object) -> tuple[bytes, ...]:
    assert isinstance(outcome, Delivered)
    return outcome.packets


def test_a_superpacket_is_cut_with_sums_that_verify() -> None:
    cut = packets(predict(superpacket(), NOW))
    assert [packet[40:] for packet in cut] == [PAYLOAD[:8], PAYLOAD[8:16], PAYLOAD[16:]]
    assert [packet[4:6].hex() for packet in cut] == ["1234", "1235", "1236"]
    assert [packet[24:28].hex() for packet in cut] == ["01020304", "0102030c", "01020314"]
    assert [packet[33] for packet in cut] == [0x10, 0x10, 0x18]
    for packet in cut:
        assert checksum(packet[:20]) == 0xFFFF
        assert checksum(packet[20:], checksum(packet[12:20], 6 + 28)) == 0xFFFF


@pytest.mark.parametrize(
    ("fields", "with_it", "without_it", "trait"),
    [
        ({"csum_offset": 6}, EINVAL, "cut", Trait.TSO_CSUM_CHECKED),
        ({"csum_start": 22}, Lost(), "cut", Trait.TSO_CSUM_CHECKED),
        ({"gso_size": 4}, "3 packets", "6 packets", Trait.MIN_GSO_8),
        ({"gso_type": 0, "gso_size": 0, "csum_start": 10}, EINVAL, "cut", Trait.CSUM_START_FLOOR),
        ({"flags": 0, "gso_size": 24}, "cut", Lost(), Trait.NOCSUM_MIN_LEN),
        ({"flags": 0, "csum_offset": 6}, EINVAL, "cut", Trait.NOCSUM_CSUM_OFFSET),
        ({"gso_size": 30}, EINVAL, "cut", Trait.GSO_REMAINDER_CHECKED),
    ],
)
def test_a_trait_changes_what_it_names(
    fields: dict[str, int], with_it: object, without_it: object, trait: Trait
) -> None:
    # 7.3 dissects before anything that NOCSUM_MIN_LEN decides.
    base = NOW - {Trait.DISSECTED}
    for traits, expected in ((base | {trait}, with_it), (base - {trait}, without_it)):
        got = predict(superpacket(**fields), traits)
        if isinstance(expected, str):
            count = expected.split()[0]
            assert count == "cut" or len(packets(got)) == int(count)
            assert isinstance(got, Delivered)
        else:
            assert got == expected


def test_a_reader_gets_a_superpacket_whole_with_the_header_of_the_kernel() -> None:
    (whole,) = packets(predict(superpacket(hdr_len=0), NOW, readback(Offload.TSO)))
    assert whole[10:] == superpacket()[10:]
    assert whole[:10] == frame(b"", hdr_len=64)  # all of it is linear


def test_a_reader_without_tso_completes_the_sums_itself() -> None:
    cut = packets(predict(superpacket(), NOW, readback(Offload.CSUM)))
    assert {packet[:10] for packet in cut} == {frame(b"", gso_type=0, hdr_len=0, gso_size=0)}
    for packet in cut:
        assert int.from_bytes(packet[46:48], "big") == checksum(packet[22:30], 6 + 28)


def test_a_reader_is_told_the_checksum_that_was_written_even_where_it_is_not_that_of_tcp() -> None:
    unchecked, odd = NOW - {Trait.TSO_CSUM_CHECKED}, superpacket(csum_start=22, csum_offset=2)
    (whole,) = packets(predict(odd, unchecked, readback(Offload.TSO)))
    assert whole[6:10] == odd[6:10]
    for packet in packets(predict(odd, unchecked, readback(Offload.CSUM))):
        assert packet[6:10] == odd[6:10]


def test_what_was_read_for_an_odd_checksum_is_linear() -> None:
    unchecked = NOW - {Trait.TSO_CSUM_CHECKED, Trait.LINEAR_CAPPED}
    asked = superpacket(gso_size=4000, csum_start=24, hdr_len=42) + bytes(9000)
    (whole,) = packets(predict(asked, unchecked, readback(Offload.TSO)))
    assert int.from_bytes(whole[2:4], "little") == 24 + 20


def test_the_headroom_before_a_packet_counts_for_csum_start() -> None:
    long = IPV4 + bytes(65500)
    for start, with_it, without_it in ((65470, True, True), (65471, False, True), (65472, False, False)):
        asked = frame(long, gso_type=0, gso_size=0, csum_start=start, csum_offset=6)
        for traits, arrives in ((NOW, with_it), (NOW - {Trait.CSUM_START_CEILING}, without_it)):
            assert isinstance(predict(asked, traits), Delivered if arrives else Refused), (start, arrives)


def test_ufo_that_is_no_ipv4_is_tried_as_ipv6_by_kernels_that_dissect() -> None:
    packet = bytes.fromhex("4400 00000000 11 00") + bytes(50)  # a length of 16 in IPv4's place, UDP in that of IPv6
    asked = frame(packet, flags=0, gso_type=3, hdr_len=0, gso_size=8, csum_start=0, csum_offset=0)
    dissects = NOW | {Trait.DISSECTED}
    fragments = packets(predict(asked, dissects))
    assert [(one[0], one[6], one[40]) for one in fragments] == [(0x44, 44, 17)] * 3
    assert predict(asked, dissects, FORWARD) == Lost()
    assert predict(asked[:10] + b"\x44" + bytes(60), dissects) == EINVAL


def test_a_jumbo_option_is_cut_out_of_the_right_place_or_of_that_behind_an_ethernet_header() -> None:
    hop, tcp = bytes.fromhex("0600c20400010018"), TCP[:4] + b"\x50" + TCP[5:]
    packet = b"\x60" + bytes(5) + b"\0\x40" + bytes(32) + hop + tcp + bytes(65600)
    asked = frame(packet, flags=0, gso_type=4, gso_size=40000, csum_start=0)
    for broken, ports in ((False, tcp[:4]), (True, hop[:4])):
        first = packets(predict(asked, NOW | ({Trait.HBH_JUMBO_ETHERNET} if broken else set())))[0]
        assert first[6] == 6
        assert first[40:44] == ports
        assert first[48:53] == (tcp[:5] if broken else tcp[8:13])


@pytest.mark.parametrize(
    ("way", "number"),
    [
        (Way(attached=False), errno.EBADFD),
        (Way(readable=4), errno.EFAULT),
        (Way(readable=30), errno.EFAULT),
        (Way(up=False), errno.EIO),
    ],
)
def test_what_is_not_about_the_frame_has_an_errno_of_its_own(way: Way, number: int) -> None:
    assert predict(superpacket(), NOW, way) == Refused(number)


def test_the_first_refusal_in_the_kernels_order_counts() -> None:
    down = Way(up=False)
    assert predict(superpacket(gso_type=2), NOW, down) == EINVAL
    assert Model(NOW, down).explain(superpacket(gso_type=2))[1] == ["type_unknown"]


def test_every_rule_is_a_sentence_with_a_source() -> None:
    for rule in RULES.values():
        assert rule.says.endswith("."), rule.name
        assert rule.source, rule.name
        assert rule.kind in {"refusal", "loss", "fact"}
        assert (rule.errno is not None) == (rule.kind == "refusal"), rule.name


def test_every_trait_is_explained_and_decides_something_or_cannot_be_seen() -> None:
    assert set(ABOUT) == set(Trait)
    decided = {trait for rule in RULES.values() for trait in (rule.needs, rule.without) if trait is not None}
    for trait, about in ABOUT.items():
        assert about.means.endswith(".")
        assert bool(about.effect) == about.regression, trait
        assert trait in decided or about.unseen, trait


@pytest.mark.parametrize(
    ("release", "has", "lacks"),
    [
        ("5.10.262", set(), {Trait.USO, Trait.TSO_CSUM_CHECKED, Trait.CSUM_START_FLOOR}),
        ("6.1.192", {Trait.TSO_CSUM_CHECKED, Trait.MIN_GSO_8}, {Trait.USO, Trait.CSUM_START_FLOOR}),
        ("6.6.44", {Trait.GSO_REMAINDER_CHECKED, Trait.USO}, {Trait.TSO_CSUM_CHECKED}),
        ("6.6.46", {Trait.TSO_CSUM_CHECKED, Trait.NOCSUM_CSUM_OFFSET}, {Trait.GSO_REMAINDER_CHECKED}),
        ("6.12.95+deb13-amd64", {Trait.CSUM_START_FLOOR}, {Trait.MIN_GSO_8, Trait.VNET_PAD}),
        ("6.12.117", {Trait.MIN_GSO_8, Trait.PAYLEN0}, {Trait.VNET_PAD}),
        ("6.17.8", {Trait.DATA_VALID_LOST, Trait.UDP_TUNNEL}, {Trait.DISSECTED}),
        ("6.17.13", {Trait.UDP_TUNNEL}, {Trait.DATA_VALID_LOST}),
        ("v7.3", {Trait.DISSECTED, Trait.BACKPRESSURE}, {Trait.HBH_JUMBO_STRIP}),
    ],
)
def test_a_release_has_the_traits_that_it_is_known_to_have(release: str, has: set[Trait], lacks: set[Trait]) -> None:
    known = traits_of(release)
    assert has <= known
    assert not lacks & known


def test_a_release_without_a_version_is_refused() -> None:
    with pytest.raises(ValueError, match="does not begin with a kernel's version"):
        traits_of("Debian")


def test_any_bytes_give_an_outcome_for_any_kernel() -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    source = random.Random(seed)
    ways = (REDIRECT, FORWARD, Way(header_size=24), readback(Offload.TSO | Offload.USO), Way(header_size=12))
    kernels = [traits_of(release) for release in ("5.10", "6.1.103", "6.5", "6.12.117", "6.18", "7.3")]
    models = [Model(traits, way) for traits in kernels for way in ways]
    for _ in range(3000):
        data = source.randbytes(source.randrange(140))
        if source.random() < 0.7:
            data = bytes((source.getrandbits(1), source.choice((0, 1, 3, 4, 5, 0x21)), 0, 0, source.randrange(20), 0))
            data += bytes((20, 0, source.choice((6, 16)), 0)) + source.choice((b"\x45", b"\x60")) + source.randbytes(90)
        model = source.choice(models)
        try:
            outcome = model.predict(data)
        except NotModelled:
            continue
        assert isinstance(outcome, Delivered | Refused | Lost), (seed, data.hex())
