"""The sum of RFC 1071, not inverted: lengths, carries, the two zeros, and sums that go on from others.

What cannot be said here: where in memory the bytes begin. A subject that adds words at a time does well to run these
cases at every alignment.
"""

from tunproof.authoring.draft import Topic, bug, rfc
from tunproof.corpus.cases import ChecksumInput
from tunproof.packets.builder import payload

lengths = Topic("checksum", "lengths", basis=(rfc(1071, "1"),))
carries = Topic("checksum", "carries", basis=(rfc(1071, "2"),))
zeros = Topic("checksum", "zeros", basis=(rfc(1071, "1"),))
initials = Topic("checksum", "initial", basis=(rfc(1071, "2"),))
TOPICS = (lengths, carries, zeros, initials)

_UNROLLED = bug("https://github.com/WireGuard/wireguard-go/commit/8ccfeec", "wireguard-go")


def _add(topic: Topic, name: str, about: str, data: bytes, *flags: str, initial: int = 0) -> None:
    topic.add(name, about, ChecksumInput(data=data, initial=initial), flags=flags)


# Around the words and blocks of 2, 8, 16, 32, 64 and 128 bytes; 720 is where `tio.checksum` begins to cut numbers.
for _length in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 719, 720, 721, 1500):
    lengths.add(
        f"{_length}-bytes" if _length > 1 else "1-byte",
        "Every byte counts, up to the last: an odd one is the high half of a word."
        if _length % 2
        else "Every byte counts, up to the last whole word.",
        ChecksumInput(data=payload(_length, seed=0x91)),
        flags=("SumInBlocks", "OddLength") if _length % 2 else ("SumInBlocks",),
        basis=(_UNROLLED,),
    )
_add(
    lengths,
    "65535-bytes-of-ones",
    "The largest packet with the largest bytes: the words add up to more than a signed number of 32 bits holds.",
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
    ("two-folds", "Adding the carry makes another one: 0x1ffff folds to 0x10000, and that to 1.", "ffff80008000"),
    ("out-of-an-odd-byte", "The carry comes out of the last, odd byte.", "ffff01"),
    ("out-of-32-bits", "A sum of two words of 32 bits is zero, but for its carry.", "ffffffff00000001"),
    ("out-of-64-bits", "A sum of two words of 64 bits is zero, but for its carry.", (_WORD64 + _ONE64).hex()),
    ("from-word-to-word", "The carry of one addition makes the next one carry.", (_WORD64 + _ONE64 + _WORD64).hex()),
    ("into-the-rest", "A carry out of 64 bits, with 3 bytes left to add.", (_WORD64 + _ONE64 + b"\xff\xfe\x80").hex()),
    ("in-every-word", "All words carry: a counter of carries must not overflow.", "ff02" * 300),
    ("high-bytes", "Only high halves: 0xff00 again and again.", "ff00" * 129),
    ("low-bytes", "Only low halves: 0x00ff again and again.", "00ff" * 260),
):
    _add(carries, _name, _about, bytes.fromhex(_hex), "SumCarry")
for _name, _about, _hex in (
    ("unlike-when-swapped", "Swapped words add up to another number.", "00010002"),
    ("carry-is-no-carry-when-swapped", "A carry that swapped words do not have.", "80018002"),
    ("odd-byte-in-the-low-half", "The odd byte is the high half, also where the words before it are small.", "000102"),
):
    _add(carries, _name, _about, bytes.fromhex(_hex), "SumByteOrder")

for _name, _about, _hex in (
    ("nothing", "No bytes at all: 0x0000.", ""),
    ("zero-byte", "A zero byte: 0x0000.", "00"),
    ("zeros", "Zero words only: 0x0000, the one way to get it.", "00" * 40),
    ("odd-zeros", "Zero bytes, odd in number.", "00" * 41),
    ("ones", "One word of ones is 0xFFFF, not 0x0000.", "ffff"),
    ("many-ones", "Words of ones add up to 0xFFFF however many there are.", "ff" * 40),
    ("adds-up-to-ones", "0xFFFF without any carry.", "0001fffe"),
    ("adds-up-to-ones-with-a-carry", "0xFFFF after a carry.", "8000ffff8000fffe0001"),
    (
        "ones-in-blocks",
        "Blocks that all sum to 0xFFFF, behind more than 720 bytes of zeros.",
        "00" * 730 + "ff" * 32,
    ),
    ("ones-and-odd-zero", "0xFFFF, and an odd zero byte behind it.", "ffff00"),
):
    _add(zeros, _name, _about, bytes.fromhex(_hex), "SumZero")

for _name, _about, _hex, _initial, _flag in (
    ("alone", "Nothing is added to a sum.", "", 0x1234, "SumGoesOn"),
    ("ones-alone", "A sum of 0xFFFF stays 0xFFFF.", "", 0xFFFF, "SumZero"),
    ("ones-and-zeros", "0xFFFF and zero words: still 0xFFFF.", "00" * 8, 0xFFFF, "SumZero"),
    ("one", "The least there is.", "0000", 1, "SumGoesOn"),
    ("wraps", "The initial sum makes the carry.", "8000", 0x8000, "SumCarry"),
    ("ones-and-one", "0xFFFF and 1 is 1: the carry comes back.", "0001", 0xFFFF, "SumCarry"),
    ("adds-up-to-ones", "The initial sum fills the word up to 0xFFFF.", "edcb", 0x1234, "SumZero"),
    ("odd-data", "An odd byte shifts the data, and never the initial sum.", "ab", 0x1234, "SumGoesOn"),
    ("not-swapped", "The initial sum is a number, and not in network order.", "0000", 0x00FF, "SumByteOrder"),
    ("long-odd-data", "Over 720 bytes, odd, and an initial sum.", payload(721, seed=3).hex(), 0xFEDC, "SumGoesOn"),
):
    _add(initials, _name, _about, bytes.fromhex(_hex), _flag, initial=_initial)
