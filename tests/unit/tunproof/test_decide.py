"""`judge.decide`: from an outcome to a verdict, with everything that differs in it."""

from collections.abc import Sequence

import msgspec
import pytest

import tio
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    HeaderCase,
    LifecycleCase,
    MustRefuse,
    MustReject,
    Nothing,
    Packets,
    ReadCase,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    Written,
)
from tunproof.corpus.expected import frames_of, packets_of
from tunproof.corpus.load import load
from tunproof.corpus.script import Frames
from tunproof.judge.batch import REPAIRS
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, Broken, HowBroken, Inapplicable, Transmitted, TurnedDown, Unable
from tunproof.judge.verdict import MOST_MISMATCHES, Kind

CORPUS = load()
TWO = "read/tcp4/two-segments"
WRONG_IN_THE_MIDDLE = "write_batch/checksums/tcp4-wrong-on-middle"


def case(case_id: str) -> Case:
    return CORPUS.cases[case_id]


def first(kind: type[Case], expect: type) -> Case:
    return next(one for one in CORPUS.cases.values() if isinstance(one, kind) and isinstance(one.expect, expect))


def restamped(packet: bytes) -> bytes:
    """Return an IPv4 packet with the next identification, its checksum right."""
    packet = packet[:4] + (int.from_bytes(packet[4:6], "big") + 1).to_bytes(2, "big") + packet[6:]
    head = packet[:10] + bytes(2) + packet[12:20]
    return head[:10] + (0xFFFF - tio.checksum(head, 0)).to_bytes(2, "big") + packet[12:]


def test_right_packets_pass_without_a_word() -> None:
    right = packets_of(case(TWO))
    verdict = decide(case(TWO), Answered(list(right)))
    assert (verdict.kind, verdict.difference, verdict.mismatches) == (Kind.PASS, "", ())


def test_each_packet_that_differs_stands_beside_the_right_one() -> None:
    right = packets_of(case(TWO))
    wrong = right[1][:33] + b"\x11" + right[1][34:]
    verdict = decide(case(TWO), Answered([right[0], wrong]))
    (one,) = verdict.mismatches
    assert (verdict.kind, verdict.mismatched) == (Kind.FAIL, 1)
    assert (one.what, one.place, one.at, one.framed) == ("packet 1", "tcp.flags at byte 33", 33, False)
    assert (one.expected, one.got) == (right[1], wrong)


@pytest.mark.parametrize("count", [1, 3])
def test_a_packet_too_few_or_too_many_has_no_counterpart(count: int) -> None:
    right = packets_of(case(TWO))
    came = [*right, right[1]][:count]
    (one,) = decide(case(TWO), Answered(came)).mismatches
    assert (one.expected, one.got) == ((right[1], None) if count == 1 else (None, right[1]))
    assert one.place == ("it never came out" if count == 1 else "not expected")


def test_a_verdict_holds_the_first_mismatches_and_counts_the_rest() -> None:
    verdict = decide(case(TWO), Answered([b"E"] * 40))
    assert (len(verdict.mismatches), verdict.mismatched) == (MOST_MISMATCHES, 40)


def test_an_identification_is_free_unless_the_run_is_exact() -> None:
    """The freedom is a policy for a subject; an exact run fails on it, and shows the field."""
    came = [restamped(one) for one in packets_of(case(TWO))]
    free, exact = (decide(case(TWO), Answered(came), exact=exact) for exact in (False, True))
    assert (free.kind, len(free.policies), free.mismatches) == (Kind.PASS, 1, ())
    assert (exact.kind, exact.mismatched) == (Kind.FAIL, 2)
    assert [one.place for one in exact.mismatches] == ["ipv4.identification at byte 5"] * 2


def test_a_written_frame_is_compared_from_its_vnet_header_on() -> None:
    one = first(WriteGsoCase, Written)
    (frame,) = frames_of(one)
    verdict = decide(one, Answered([frame[:4] + b"\xff\xff" + frame[6:]]))
    (found,) = verdict.mismatches
    assert (verdict.kind, found.framed, found.place) == (Kind.FAIL, True, "vnet.gso_size at byte 4 of the vnet header")


def test_a_vnet_header_that_was_made_is_compared_as_bytes() -> None:
    one = next(
        one for one in CORPUS.cases.values() if isinstance(one, HeaderCase) and one.id.startswith("header/emit/")
    )
    verdict = decide(one, Answered(bytes(10)))
    assert [found.what for found in verdict.mismatches] == ["vnet header"] * (verdict.kind is Kind.FAIL)
    assert verdict.kind is Kind.FAIL


def joined(packets: Sequence[bytes]) -> bytes:
    """Return the frame of one superpacket that stands for all of them."""
    (item,) = tio.coalesce(packets)
    assert isinstance(item, tio.Superpacket)
    return item.frame()


def test_a_repair_that_is_excused_is_not_blamed_beside_a_stray_packet() -> None:
    one = case(WRONG_IN_THE_MIDDLE)
    assert isinstance(one, WriteBatchCase)
    packets = list(one.input.packets)
    assert one.expect.repairable == (1,)
    at = 20 + 16
    unsummed = packets[1][:at] + bytes(2) + packets[1][at + 2 :]
    partial = tio.checksum(unsummed[12:20] + (6).to_bytes(2, "big") + (len(unsummed) - 20).to_bytes(2, "big"), 0)
    repaired = tio.complete_checksum(unsummed[:at] + partial.to_bytes(2, "big") + unsummed[at + 2 :], 20, 16)
    stray = bytes(10) + packets[0][:24] + b"\x7f" + packets[0][25:]
    verdict = decide(one, Answered([joined([packets[0], repaired, *packets[2:]]), stray]))
    assert verdict.policies == {REPAIRS}
    assert verdict.groups == ((0, 1, 2, 3), ())
    assert [(found.what, found.expected, found.got) for found in verdict.mismatches] == [
        ("a packet that was not in the batch", None, stray[10:])
    ]


def test_what_a_batch_lost_stands_beside_what_came_instead() -> None:
    one = case(WRONG_IN_THE_MIDDLE)
    assert isinstance(one, WriteBatchCase)
    other = one.input.packets[3][:8] + b"\x01" + one.input.packets[3][9:]
    verdict = decide(one, Answered([bytes(10) + packet for packet in (*one.input.packets[:3], other)]))
    (found,) = verdict.mismatches
    assert (found.what, found.expected, found.got) == ("packet 3 that went in", one.input.packets[3], other)


@pytest.mark.parametrize(
    ("kind", "expect"),
    [(ReadCase, MustReject), (HeaderCase, MustReject), (WriteCase, MustRefuse), (WriteGsoCase, MustRefuse)],
)
def test_a_refusal_passes_where_there_must_be_one_and_fails_elsewhere(kind: type[Case], expect: type) -> None:
    one = first(kind, expect)
    assert decide(one, TurnedDown("no")).kind is Kind.PASS
    assert one.sibling is not None
    assert decide(case(one.sibling), TurnedDown("no")).kind is Kind.FAIL


def test_a_refusal_of_which_something_came_out_fails_and_shows_it() -> None:
    one = first(ReadCase, MustReject)
    verdict = decide(one, TurnedDown("no", (b"E" * 20,)))
    assert (verdict.kind, [found.got for found in verdict.mismatches]) == (Kind.FAIL, [b"E" * 20])


def test_an_exact_refusal_names_the_same_fault() -> None:
    one = first(ReadCase, MustReject)
    assert isinstance(one.expect, MustReject)
    other = msgspec.structs.replace(one.expect.fault, rule="R0")
    assert decide(one, TurnedDown("no", fault=one.expect.fault), exact=True).kind is Kind.PASS
    assert decide(one, TurnedDown("no", fault=other), exact=True).kind is Kind.FAIL


def test_nothing_is_written_means_nothing() -> None:
    one = first(WriteCase, Nothing)
    assert decide(one, Answered([])).kind is Kind.PASS
    assert decide(one, Answered([bytes(10)])).mismatches[0].got == bytes(10)
    assert decide(one, Transmitted([b"E"])).mismatches[0].got == b"E"


def test_what_a_kernel_made_of_it_is_judged_by_its_packets() -> None:
    one = first(WriteGsoCase, Written)
    right = packets_of(one)
    assert decide(one, Transmitted(right)).kind is Kind.PASS
    assert decide(one, Transmitted(right[:-1])).mismatches[0].expected == right[-1]


def test_a_lifecycle_names_the_step() -> None:
    one = next(
        one
        for one in CORPUS.cases.values()
        if isinstance(one, LifecycleCase) and not any(isinstance(answers[0], Frames) for answers in one.expect.answers)
    )
    right = [answers[0] for answers in one.expect.answers]
    assert decide(one, Answered(right)).kind is Kind.PASS
    assert "expected 2" not in decide(one, Answered(right[:-1])).difference
    wrong = decide(one, Answered([None, *right[1:]]))
    assert wrong.difference.startswith('step 0, {"do":')


@pytest.mark.parametrize(
    "outcome",
    [Answered(None), Answered("text"), Answered([1]), Answered({"sum": 1})],
)
def test_an_answer_of_the_wrong_shape_is_an_error_of_the_subject(outcome: Answered) -> None:
    assert decide(case(TWO), outcome).kind is Kind.ERROR


@pytest.mark.parametrize("how", ["error", "crash", "hang", "oom", "protocol-error", "blocked"])
def test_what_is_broken_keeps_its_name(how: HowBroken) -> None:
    verdict = decide(case(TWO), Broken(how, "why"))
    assert (verdict.kind.value, verdict.difference) == (how, "why")


def test_what_cannot_be_done_is_not_failed() -> None:
    assert decide(case(TWO), Unable("read")).kind is Kind.UNSUPPORTED
    assert decide(case(TWO), Inapplicable("no lab")).kind is Kind.NOT_APPLICABLE


def test_a_sum_is_told_in_hex() -> None:
    one = next(one for one in CORPUS.cases.values() if isinstance(one, ChecksumCase))
    assert isinstance(one.expect.sum, int)
    verdict = decide(one, Answered(one.expect.sum ^ 1))
    assert verdict.difference == f"expected {one.expect.sum:#06x}, got {one.expect.sum ^ 1:#06x}"


def test_every_right_answer_of_the_corpus_passes_exactly() -> None:
    for one in CORPUS.cases.values():
        if isinstance(one.expect, Packets):
            assert decide(one, Answered(list(one.expect.packets)), exact=True).kind is Kind.PASS, one.id
        elif frames := frames_of(one):
            assert decide(one, Answered(list(frames)), exact=True).kind is Kind.PASS, one.id
