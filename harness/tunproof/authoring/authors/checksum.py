"""The sum of RFC 1071, not inverted: lengths, carries, the two zeros, and sums that continue from others.

Alignment in memory cannot be expressed here. A subject that adds words at a time should run these cases at every
alignment.
"""

from tunproof.authoring.draft import Topic, bug, rfc
from tunproof.corpus.cases import ChecksumInput
from tunproof.corpus.model import Level
from tunproof.packets.builder import payload

lengths = Topic("checksum", "lengths", basis=(rfc(1071, "1"),))
carries = Topic("checksum", "carries", basis=(rfc(1071, "2"),))
zeros = Topic("checksum", "zeros", basis=(rfc(1071, "1"),))
initials = Topic("checksum", "initial", basis=(rfc(1071, "2"),))
TOPICS = (lengths, carries, zeros, initials)

_UNROLLED = bug("https://github.com/WireGuard/wireguard-go/commit/8ccfeec", "wireguard-go")


def _add(topic: Topic, name: str, about: str, data: bytes, *flags: str, initial: int = 0) -> None:
    """Add a case. Without any bytes it is advice: no packet is empty, so both zeros are right in practice."""
    level: Level = "must" if data or initial else "should"
    topic.add(name, about, ChecksumInput(data=data, initial=initial), flags=flags, level=level)


# Around the words and blocks of 2, 8, 16, 32, 64 and 128 bytes; 720 is where `tio.checksum` begins to cut numbers.
for _length in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 719, 720, 721, 1500):
    lengths.add(
        f"{_length}-bytes" if _length > 1 else "1-byte",
        "Every byte counts, up to the last: an odd last byte is the high half of a word."
        if _length % 2
        else "Every byte counts, up to the last whole word.",
        ChecksumInput(data=payload(_length, seed=0x91)),
        flags=("SumInBlocks", "OddLength") if _length % 2 else ("SumInBlocks",),
        basis=(_UNROLLED,),
    )
_add(
    lengths,
    "65535-bytes-of-ones",
    "The largest packet, all ones: the words add up to more than a signed 32-bit integer holds.",
    b"\xff" * 65535,
    "SumInBlocks",
    "SumCarry",
    "MaximumSize",
    initial=0xFFFF,
)

_WORD64 = b"\xff" * 8
_ONE64 = b"\0" * 7 + b"\1"
for _name, _about, _hex in (
    ("rfc-1071-example", "The example of RFC 1071, section 3: 0x2ddf0 folds to 0xddf2.", "0001f203f4f5f6f7"),
    ("one-fold", "One carry, added once.", "ffff0002"),
    ("two-folds", "Adding the carry produces another: 0x1ffff folds to 0x10000, and that to 1.", "ffff80008000"),
    ("out-of-an-odd-byte", "The carry comes out of the last, odd byte.", "ffff01"),
    ("out-of-32-bits", "Two 32-bit words add up to zero and a carry that must not be lost.", "ffffffff00000001"),
    ("out-of-64-bits", "Two 64-bit words add up to zero and a carry that must not be lost.", (_WORD64 + _ONE64).hex()),
    ("from-word-to-word", "The carry of one addition makes the next one carry.", (_WORD64 + _ONE64 + _WORD64).hex()),
    ("into-the-rest", "A carry out of 64 bits, with 3 bytes left to add.", (_WORD64 + _ONE64 + b"\xff\xfe\x80").hex()),
    ("in-every-word", "Every word carries: a counter of carries must not overflow.", "ff02" * 300),
    ("high-bytes", "Only high bytes are set: 0xff00, repeated.", "ff00" * 129),
    ("low-bytes", "Only low bytes are set: 0x00ff, repeated.", "00ff" * 260),
):
    _add(carries, _name, _about, bytes.fromhex(_hex), "SumCarry")
for _name, _about, _hex in (
    ("unlike-when-swapped", "Byte-swapped words add up to a different number.", "00010002"),
    ("carry-is-no-carry-when-swapped", "Words that carry, but not when byte-swapped.", "80018002"),
    ("odd-byte-in-the-low-half", "The odd byte is the high half of a word, even after small words.", "000102"),
):
    _add(carries, _name, _about, bytes.fromhex(_hex), "SumByteOrder")

for _name, _about, _hex in (
    ("nothing", "No bytes at all: 0x0000.", ""),
    ("zero-byte", "A zero byte: 0x0000.", "00"),
    ("zeros", "Zero words only: nothing else sums to 0x0000.", "00" * 40),
    ("odd-zeros", "An odd number of zero bytes: 0x0000.", "00" * 41),
    ("ones", "One word of all ones is 0xFFFF, not 0x0000.", "ffff"),
    ("many-ones", "Words of all ones add up to 0xFFFF, however many there are.", "ff" * 40),
    ("adds-up-to-ones", "The words add up to 0xFFFF without a carry.", "0001fffe"),
    ("adds-up-to-ones-with-a-carry", "The words add up to 0xFFFF after a carry.", "8000ffff8000fffe0001"),
    (
        "ones-in-blocks",
        "Blocks that each sum to 0xFFFF, after more than 720 bytes of zeros.",
        "00" * 730 + "ff" * 32,
    ),
    ("ones-and-odd-zero", "0xFFFF, followed by an odd zero byte.", "ffff00"),
):
    _add(zeros, _name, _about, bytes.fromhex(_hex), "SumZero")

for _name, _about, _hex, _initial, _flag in (
    ("alone", "No data: the initial sum is returned as it is.", "", 0x1234, "SumGoesOn"),
    ("ones-alone", "No data: an initial sum of 0xFFFF stays 0xFFFF.", "", 0xFFFF, "SumZero"),
    ("ones-and-zeros", "An initial sum of 0xFFFF and zero words: still 0xFFFF.", "00" * 8, 0xFFFF, "SumZero"),
    ("one", "The smallest initial sum, 1, and a zero word.", "0000", 1, "SumGoesOn"),
    ("wraps", "The initial sum causes the carry.", "8000", 0x8000, "SumCarry"),
    ("ones-and-one", "0xFFFF plus 1 is 1: the carry is added back in.", "0001", 0xFFFF, "SumCarry"),
    ("adds-up-to-ones", "The initial sum brings the total to 0xFFFF.", "edcb", 0x1234, "SumZero"),
    ("odd-data", "An odd byte is the high half of a word; the initial sum is not shifted.", "ab", 0x1234, "SumGoesOn"),
    ("not-swapped", "The initial sum is a number, not two bytes in network order.", "0000", 0x00FF, "SumByteOrder"),
    (
        "long-odd-data",
        "An odd number of bytes, over 720, and an initial sum.",
        payload(721, seed=3).hex(),
        0xFEDC,
        "SumGoesOn",
    ),
):
    _add(initials, _name, _about, bytes.fromhex(_hex), _flag, initial=_initial)
