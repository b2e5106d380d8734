"""The page of a matrix run in a real browser: nothing overflows, all can be reached and read, in any light."""

from collections.abc import Callable
from pathlib import Path

import pytest

from browser.conftest import Browser
from common.made_kernels import CORPUS, kernel, never_up
from tunproof.matrix.conduct import KernelResult
from tunproof.matrix.page import CASES, page

CWR = "read/tcp4/cwr-on-first-segment-only"
FINDING = "kernel-csum-start-beyond-16-bits-4adf7983"
ATTACK = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\u202e\ud800\0"

Show = Callable[..., Browser]


def eight() -> list[KernelResult]:
    """Kernels of which each has something to be shown: findings, a case, something unknown, boots, a problem."""
    return [
        kernel("5.10.262", differences=59, findings=(FINDING, "kernel-field-bytes-bbb3806f")),
        kernel("6.1.192", unknown={"hbh_jumbo_strip": "a frame that every kernel delivers was not delivered"}, boots=2),
        kernel("6.12.117", release="6.12.117+deb13-cloud-amd64", package="linux-image-6.12.117+deb13-cloud-amd64 1~b1"),
        kernel("6.16.12", disagree=(CWR, "read/tcp6/cwr-on-first-segment-only")),
        kernel("6.17.8"),
        never_up("6.18.15", "it was booted 3 times and never came up: " + "Kernel panic - not syncing: " * 5),
        kernel("7.2.13", traits=()),
        kernel("7.3.4"),
    ]


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Show:
    def opened(*kernels: KernelResult, at: str = "") -> Browser:
        for folder in (tmp_path / one.release for one in kernels if one.cases):
            (folder / "findings" / FINDING).mkdir(parents=True, exist_ok=True)
            for name in ("index.html", "console.log", f"findings/{FINDING}/repro.txt"):
                (folder / name).write_text("")
        (tmp_path / CASES).write_text("")
        path = tmp_path / "index.html"
        path.write_bytes(page(tmp_path, kernels, CORPUS, CORPUS.cases))
        browser.open(path, at)
        return browser

    return opened


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_sticks_out_sideways(show: Show, width: int) -> None:
    browser = show(*eight())
    browser.resize(width)
    for fold in (False, True):
        browser.run("for (const one of document.querySelectorAll('details')) one.open = arguments[0]", fold)
        assert browser.run("return document.documentElement.scrollWidth - innerWidth") <= 0
        out = browser.run("""return [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility()
            && !one.closest(".wide > *, .skip") && one.getBoundingClientRect().right > innerWidth + 0.5)
            .map((one) => one.outerHTML.slice(0, 80))""")
        assert out == []


def test_a_wide_table_scrolls_in_its_box_and_its_first_column_stays(show: Show) -> None:
    browser = show(*eight())
    browser.resize(360)
    boxes = browser.run("""return [...document.querySelectorAll(".wide")].filter((one) => one.checkVisibility())
        .map((one) => {
          one.scrollLeft = 9999;
          const first = one.querySelector("tbody th").getBoundingClientRect();
          return [one.scrollLeft > 0, Math.round(first.left - one.getBoundingClientRect().left), first.width];
        })""")
    assert len(boxes) == 3
    assert all(scrolled and abs(left) <= 1 and width < 180 for scrolled, left, width in boxes)


def test_the_cases_of_a_group_are_seen_wherever_the_table_is_scrolled_to(show: Show) -> None:
    browser = show(*eight())
    browser.resize(360)
    seen = browser.run("""const fold = document.querySelector(".groups details:not([open])");
        fold.open = true;
        fold.closest(".wide").scrollLeft = 9999;
        const box = fold.closest(".wide").getBoundingClientRect();
        const link = fold.querySelector(".ids a").getBoundingClientRect();
        return link.left >= box.left && link.right <= box.right""")
    assert seen


def test_all_can_be_reached_and_opened_by_keyboard(show: Show) -> None:
    browser = show(*eight())
    browser.press("Tab")
    assert browser.run("return document.activeElement.className") == "skip"
    browser.press("Enter", "Tab")
    assert browser.run("return document.activeElement.getAttribute('aria-label')") == "where they differ"
    browser.run("document.querySelector('.groups details:not([open]) summary').focus()")
    browser.press("Enter")
    assert browser.run("return document.activeElement.parentElement.open")
    browser.press("Tab")
    assert browser.run("return document.activeElement.matches('.groups .ids a:focus-visible')")
    assert browser.run("return document.activeElement.getAttribute('href')").startswith(f"{CASES}#read/")


def test_a_trait_leads_to_what_it_means_even_where_that_is_folded(show: Show) -> None:
    browser = show(*eight())
    folded = browser.run("return document.querySelector('.fold .traits > div').id")
    browser.open(Path(browser.run("return decodeURIComponent(location.pathname)")), folded)
    browser.until("return document.getElementById(arguments[0]).checkVisibility()", folded)


def test_hostile_text_is_shown_and_not_obeyed(show: Show) -> None:
    hostile = never_up("6.1.0", ATTACK, release=f"6.1.0+{ATTACK}", package=ATTACK)
    browser = show(hostile, kernel("7.3.4", unknown={"uso": ATTACK}), kernel("5.10.262"))
    assert browser.run("return document.querySelectorAll('img, script').length") == 0
    assert browser.run("return document.title") == "tunproof: 3 kernels: nothing is unexplained; incomplete: 6.1.0"
    assert "document.title='taken'" in browser.run("return document.querySelector('main').textContent")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(show: Show, scheme: str) -> None:
    browser = show(*eight())
    browser.prefer(scheme)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    ratios = browser.contrasts()
    assert len(ratios) > 20
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_tables_say_what_they_are(show: Show) -> None:
    browser = show(*eight())
    assert browser.run("return [...document.querySelectorAll('table')].every((one) => one.caption.textContent.trim())")
    assert browser.run("return [...document.querySelectorAll('th')].every((one) => one.scope)")
    assert browser.run("""return [...document.querySelectorAll(".groups tbody tr:first-child td")]
        .every((one) => one.textContent.trim())""")


def test_a_page_without_a_kernel_that_was_asked_opens(show: Show) -> None:
    browser = show(never_up("6.12.95", "it hung"))
    assert browser.run("return document.querySelector('h1').textContent") == "1 kernel: none could be examined"
    assert browser.run("return document.querySelectorAll('table').length") == 1
