"""The page in a real browser: it opens from a file, can be filtered, used by keyboard, and holds what it must."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest

from browser.conftest import Browser
from common.made_streams import finished, result, run, stream, told
from fakes.batches import TtlIgnored
from fakes.own_reader import OwnReader
from fakes.reading import CwrOnEverySegment
from tunproof.corpus.load import Corpus, load
from tunproof.judge.mismatch import frames_beside
from tunproof.judge.verdict import Kind
from tunproof.protocol.messages import Implementation
from tunproof.reports.page import page
from tunproof.runs.results import Got, Known, Problem, Result, Results

CWR = "read/tcp6/cwr-on-first-segment-only"
ATTACK = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\u202e\ud800\0"

Show = Callable[..., Browser]


@cache
def corpus() -> Corpus:
    return load()


@cache
def wrong() -> Results:
    return stream(CwrOnEverySegment(), corpus().select("read/tcp*"), subject="wrong", kernel="6.1.0")


@cache
def right() -> Results:
    return stream(OwnReader(), corpus().select("read/tcp*"), subject="right")


@cache
def everything() -> Results:
    """Every case of the corpus, passed."""
    return finished((result(case, Kind.PASS) for case in corpus().cases.values()), subject="everything")


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Show:
    def opened(*streams: Results, at: str = "") -> Browser:
        path = tmp_path / "index.html"
        path.write_bytes(page(told(*streams)))
        browser.open(path, at)
        return browser

    return opened


def shown(browser: Browser) -> list[str]:
    """The ids of the rows that are there."""
    return browser.run("""return [...document.querySelectorAll("tr.case")].filter((row) => row.checkVisibility())
        .map((row) => row.closest("tbody").dataset.topic + "/" + row.querySelector("a").textContent)""")


def focused(browser: Browser) -> str:
    return browser.run("""const row = document.activeElement.closest("tr.case");
        return row ? row.querySelector("a").textContent : document.activeElement.id""")


def detail(browser: Browser) -> str | None:
    return browser.run("""return document.getElementById("detail").open
        ? document.getElementById("detail-title").textContent : null""")


def failed(results: Results) -> list[str]:
    return [case_id for case_id, one in results.results.items() if one.verdict is Kind.FAIL]


def choose(browser: Browser, selector: str, value: str) -> None:
    browser.run(
        """const [selector, value] = arguments; const one = document.querySelector(selector);
        one.value = value; one.dispatchEvent(new Event("change"))""",
        selector,
        value,
    )


# The filter.


def test_the_filter_narrows_by_words_and_says_how_many_there_are(show: Show) -> None:
    browser = show(wrong())
    browser.press("/", *"cwr tcp6")
    wanted = [case_id for case_id in wrong().results if "cwr" in case_id and "tcp6" in case_id]
    found = shown(browser)
    assert set(wanted) <= set(found) < set(wrong().results)
    total = len(wrong().results)
    assert browser.run("return document.getElementById('count').textContent") == f"{len(found)} of {total} cases"
    browser.press("Escape")
    assert browser.run("return document.getElementById('filter').value") == ""
    browser.press("/", *"no such case")
    assert shown(browser) == []
    assert browser.run("return document.getElementById('none').checkVisibility()")


def test_the_filter_narrows_by_verdict_class_of_bugs_and_what_is_unexpected(show: Show) -> None:
    browser = show(wrong(), right())
    choose(browser, "#verdict", "fail")
    assert shown(browser) == failed(wrong())
    choose(browser, "#verdict", "")
    choose(browser, "#flag", "CwrOnFirstOnly")
    assert shown(browser) == [one for one in wrong().results if "CwrOnFirstOnly" in corpus().cases[one].flags]
    choose(browser, "#flag", "")
    browser.click("#unexpected")
    assert shown(browser) == failed(wrong())
    browser.click("#unexpected")
    browser.click("#apart")
    assert shown(browser) == failed(wrong())


def test_the_number_of_unexpected_results_leads_to_them(show: Show) -> None:
    browser = show(wrong())
    browser.click(".show-unexpected")
    assert shown(browser) == failed(wrong())
    assert browser.run("return document.getElementById('unexpected').checked")


def test_topics_open_and_close(show: Show) -> None:
    browser = show(right())
    assert shown(browser) == []
    browser.click("tbody[data-topic='read/tcp6'] button")
    assert {one.rpartition("/")[0] for one in shown(browser)} == {"read/tcp6"}
    assert browser.run("return document.querySelectorAll('button[aria-expanded=true]').length") == 1
    browser.click("tbody[data-topic='read/tcp6'] button")
    assert shown(browser) == []
    browser.click("#all")
    assert shown(browser) == list(right().results)


# The keyboard.


def test_j_k_and_arrows_move_enter_opens_and_escape_returns_to_the_row(show: Show) -> None:
    browser = show(wrong())
    browser.click("#unexpected")
    names = [case_id.rpartition("/")[2] for case_id in failed(wrong())]
    browser.run("document.activeElement.blur()")
    browser.press("j")
    assert focused(browser) == names[0]
    browser.press("j", "ArrowDown", "k")
    assert focused(browser) == names[1]
    assert browser.run("return document.activeElement.matches(':focus-visible')")
    browser.press("Enter")
    assert detail(browser) == failed(wrong())[1]
    browser.press("j")
    assert detail(browser) == failed(wrong())[2]
    browser.until("return decodeURIComponent(location.hash) === arguments[0]", f"#{failed(wrong())[2]}")
    browser.press("Escape")
    browser.until("return !document.getElementById('detail').open && location.hash === ''")
    assert focused(browser) == names[2]
    browser.press("/")
    assert focused(browser) == "filter"
    browser.press("ArrowDown")
    assert focused(browser) == names[2]


def test_letters_are_letters_in_the_filter(show: Show) -> None:
    browser = show(wrong())
    browser.press("/", *"j/k")
    assert browser.run("return document.getElementById('filter').value") == "j/k"


def test_one_row_can_be_reached_by_tab_and_the_first_stop_skips_to_the_cases(show: Show) -> None:
    browser = show(wrong())
    browser.press("Tab")
    assert browser.run("return document.activeElement.className") == "skip"
    assert browser.run("return document.querySelectorAll('tr.case a:not([tabindex=\"-1\"])').length") == 1
    browser.press("j", "j")
    assert browser.run("return document.querySelectorAll('tr.case a:not([tabindex=\"-1\"])').length") == 1


def test_an_address_opens_its_case_and_an_unknown_one_nothing(show: Show) -> None:
    assert detail(show(wrong(), at=CWR)) == CWR
    assert detail(show(wrong(), at="read/none/such")) is None
    assert detail(show(wrong(), at="%E0%A4%A")) is None


# The detail.


def test_a_failed_case_shows_both_sides_with_the_differing_bytes_marked(show: Show) -> None:
    browser = show(wrong(), at=CWR)
    marked = browser.run("""return [...document.querySelectorAll(".dumps")].map((dumps) =>
        ["right", "wrong"].map((side) => [...dumps.querySelectorAll("mark." + side)].map((one) => one.textContent)))""")
    assert len(marked) == 2
    assert marked[0][0][0] == "10"
    assert marked[0][1][0] == "90"
    text = browser.run("return document.getElementById('detail-body').textContent")
    case = corpus().cases[CWR]
    flags = [corpus().flags[name] for name in case.flags]
    for words in (case.about, "NEEDS_CSUM", "CWR|ACK", "tcp.flags", *(flag.effect for flag in flags)):
        assert words in text
    assert all(basis.ref in text for basis in case.basis)
    assert f"tunproof check --select {CWR} --mode memory -- './my adapter' --select x" in text
    assert browser.run("return document.querySelectorAll('svg.picture rect.head').length") == 4


def test_a_passed_case_has_its_picture_and_no_bytes(show: Show) -> None:
    browser = show(right(), at=CWR)
    assert browser.run("return document.querySelectorAll('#detail-body svg.picture rect').length") == 8
    assert browser.run("return document.querySelectorAll('.dump').length") == 0


def test_the_command_can_be_copied(show: Show) -> None:
    browser = show(wrong(), at=CWR)
    browser.click(".copy")
    browser.until("return ['Copied', 'Selected'].includes(document.querySelector('.copy').textContent)")


def test_a_written_frame_shows_its_vnet_header_apart(show: Show) -> None:
    case = next(case for case in corpus().select("write_gso/tcp4/*") if case.expect.__class__.__name__ == "Written")
    frame = case.expect.header + case.input.whole
    bad = frame[:4] + b"\x07\0" + frame[6:]
    mismatches, mismatched = frames_beside([frame], [bad])
    got = Got(what="frames", packets=(bad,))
    made = finished([result(case, difference="V5", got=got, mismatches=mismatches, mismatched=mismatched)])
    browser = show(made, at=case.id)
    lines = browser.run("return document.querySelectorAll('.dump')[1].textContent").splitlines()
    assert lines[0].split() == ["vnet", *(f"{byte:02x}" for byte in bad[:10])]
    assert lines[1].split()[:2] == ["0", "45"]
    assert "vnet.gso_size" in browser.run("return document.querySelector('.subject').textContent")


def test_cases_of_every_topic_can_be_opened(show: Show) -> None:
    last = {case_id.rpartition("/")[0]: one for case_id, one in everything().results.items()}
    some = finished(last.values())
    browser = show(some)
    browser.click("#all")
    opened = browser.run("""const seen = new Set();
        document.querySelector("tr.case a").click();
        dispatchEvent(new Event("hashchange"));
        for (let last = null; last !== document.getElementById("detail-title").textContent;) {
          last = document.getElementById("detail-title").textContent;
          if (document.querySelector("#detail-body .lead").textContent) seen.add(last);
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true }));
        }
        return seen.size""")
    assert opened == len(some.results)


# Several streams, hostile ones, and many.


def test_several_streams_are_columns_told_apart_by_word_and_glyph(show: Show) -> None:
    other = msgspec.structs.replace(run("wrong"), kernel="6.2.0")
    again = finished(wrong().results.values(), other)
    browser = show(wrong(), right(), again)
    heads = browser.run("return [...document.querySelectorAll('thead th')].map((one) => one.textContent.trim())")
    assert heads == ["case", "wrong · 6.1.0", "right", "wrong · 6.2.0"]
    choose(browser, "#verdict", "fail")
    cells = browser.run("""return [...document.querySelector("tr.case").querySelectorAll("td")]
        .map((cell) => [cell.querySelector(".glyph").textContent, cell.querySelector(".word").textContent])""")
    assert cells == [["✗", "fail"], ["✓", "pass"], ["✗", "fail"]]
    assert browser.run("return document.querySelectorAll('.run').length") == 3


def attacker() -> Results:
    case = corpus().cases[CWR]
    nobody = Result(id=ATTACK, digest="sha256:" + "0" * 64, verdict=Kind.CRASH, unexpected=True, stderr=ATTACK)
    said = {"difference": f"{ATTACK}\n{ATTACK}", "trace": ATTACK, "stderr": ATTACK, "policies": (ATTACK,)}
    known = Known(outcome="fail", reason=ATTACK, link="javascript:alert(1)")
    made = finished(
        [result(case, known=known, got=Got(what="value", value=ATTACK), **said), nobody],
        subject=ATTACK,
        kernel=ATTACK,
        mode=ATTACK,
        command=("tunproof", "check", "--", ATTACK),
        implementation=Implementation(
            name=ATTACK, version=ATTACK, language=ATTACK, source="javascript:alert(1)", issues="https://x/\"'<b>"
        ),
    )
    made.add(Problem(id=ATTACK, what="stale", text=ATTACK))
    return made


def test_hostile_text_is_shown_and_not_obeyed(show: Show) -> None:
    browser = show(attacker(), at=CWR)
    assert "document.title" in browser.run("return document.getElementById('detail-body').textContent")
    browser.press("j")
    assert "document.title" in (detail(browser) or "")
    assert browser.run("return document.title").startswith("tunproof: ")
    assert browser.run("return document.querySelectorAll('img, script:not(#data)').length") == 1
    assert browser.run("return document.querySelectorAll('a[href^=javascript]').length") == 0


WIDTHS = (1280, 390)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_sideways(show: Show, width: int) -> None:
    batch = stream(TtlIgnored(), corpus().select("write_batch/pairs-ip4/*"), subject="a-name-of-some-length " * 3)
    long = msgspec.structs.replace(result(corpus().cases[CWR], difference="w" * 300), id=f"read/long/{'n' * 150}")
    browser = show(wrong(), right(), batch, attacker(), finished([long]))
    browser.resize(width)
    sideways = "return document.documentElement.scrollWidth - innerWidth"
    assert browser.run(sideways) <= 0
    browser.click("#unexpected")
    assert browser.run(sideways) <= 0
    for case_id in (CWR, long.id, *failed(batch)):
        browser.run("location.hash = arguments[0]", case_id)
        browser.until("return document.getElementById('detail-title').textContent === arguments[0]", case_id)
        assert (
            browser.run("const one = document.getElementById('detail'); return one.scrollWidth - one.clientWidth") <= 0
        )
        assert browser.run(sideways) <= 0


def test_an_address_that_follows_at_once_is_not_taken_back(show: Show) -> None:
    browser = show(wrong())
    first, second = failed(wrong())[:2]
    browser.run(
        """
        const [first, second] = arguments;
        addEventListener("hashchange", () => {
            history.replaceState(null, "", second);
            setTimeout(() => { window.settled = location.hash; }, 300);
        }, { once: true });
        location.hash = first;
        """,
        f"#{first}",
        f"#{second}",
    )
    assert browser.until("return window.settled") == f"#{second}"


def test_a_wide_matrix_scrolls_in_its_own_box(show: Show) -> None:
    streams = [finished(wrong().results.values(), run(f"subject-{number}")) for number in range(14)]
    browser = show(*streams)
    browser.resize(390)
    browser.until("return document.querySelector('.box').classList.contains('scrolls')")
    assert browser.run("return document.documentElement.scrollWidth - innerWidth") <= 0


def test_three_runs_of_the_whole_corpus_open_at_once(show: Show) -> None:
    streams = [msgspec.structs.replace(everything().run, subject=name) for name in "abc"]
    browser = show(*(finished(everything().results.values(), one) for one in streams))
    took = browser.run("""const [one] = performance.getEntriesByType("navigation"); return one.domComplete""")
    assert took < 5000
    browser.press("/", *"psh")
    assert shown(browser)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(show: Show, scheme: str) -> None:
    browser = show(wrong(), at=CWR)
    browser.prefer(scheme)
    ratios = browser.contrasts()
    assert len(ratios) > 20
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}
