"""The page of a matrix run: what it says, what it leads to, and how it is written."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from common.made_kernels import CORPUS, frames, kernel, never_up
from tio.linux import ABOUT
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.kernel.probes import PROBES, Probed
from tunproof.matrix.compare import differing, grouped, oldest_first
from tunproof.matrix.conduct import KernelResult
from tunproof.matrix.page import CASES, headline, page
from tunproof.matrix.publish import MATRIX, clear, publish
from tunproof.runs.kernel import heading, run_kernel
from tunproof.runs.results import keep

CWR = "read/tcp4/cwr-on-first-segment-only"
FINDING = "kernel-field-bytes-bbb3806f"
ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'\u202e\ud800\0"


class Read(HTMLParser):
    """What a page holds: its tags, its text, and where its links lead."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"td", "th", "dt", "dd", "li", "p"}:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if self.lasttag != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def links(self) -> list[str]:
        return [str(found["href"]) for tag, found in self.tags if tag == "a"]


def read(*kernels: KernelResult, folder: Path = Path("/nowhere"), asked: tuple[str, ...] = ()) -> Read:
    return Read(page(folder, kernels, CORPUS, asked))


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


# The headline --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernels", "words"),
    [
        ([kernel("7.3.4"), kernel("5.10.262")], "2 kernels: nothing is unexplained"),
        ([kernel("7.3.4", disagree=(CWR,))], "1 kernel: 1 case is unexplained"),
        ([kernel("7.3.4", differences=1)], "1 kernel: 1 frame is unexplained"),
        (
            [kernel("7.3.4", disagree=(CWR, "x"), differences=50), kernel("6.12.95", differences=9)],
            "2 kernels: 2 cases and 59 frames are unexplained",
        ),
        ([kernel("7.3.4", disagree=(CWR,)), kernel("6.12.95", disagree=(CWR,))], "2 kernels: 1 case is unexplained"),
        (
            [kernel("7.3.4"), never_up("6.12.95"), never_up("6.1.0")],
            "3 kernels: nothing is unexplained; incomplete: 6.1.0, 6.12.95",
        ),
        ([never_up("6.12.95")], "1 kernel: none could be examined"),
        ([], "0 kernels: none could be examined"),
    ],
)
def test_the_headline_is_the_answer(kernels: list[KernelResult], words: str) -> None:
    assert headline(oldest_first(kernels)) == words
    assert f"tunproof {words}" in read(*kernels).text


# What it says --------------------------------------------------------------------------------------------------------


def test_every_group_has_its_number_its_traits_and_what_each_kernel_does() -> None:
    kernels = [kernel("7.3.4"), kernel("5.10.262"), kernel("6.12.95")]
    found = read(*kernels)
    at = 0
    for group in grouped(differing(kernels, CORPUS)):
        number = f"{len(group.cases)} case{'s' if len(group.cases) > 1 else ''}"
        words = " ".join([number, *group.because, *group.answers.values()])
        at = found.text.index(words, at)
        assert all(ABOUT[trait].means in found.text[at:] for trait in group.because)
        assert all(case.id in found.text[at:] for case in group.cases)


def test_what_nobody_explains_stands_first_and_open() -> None:
    found = read(kernel("7.3.4"), kernel("6.12.95", disagree=(CWR,)))
    folds = [attributes for tag, attributes in found.tags if tag == "details"]
    assert ["open" in one for one in folds].index(False) == 1
    first = found.text.partition("because of 6.12.95 7.3.4 ")[2]
    assert first.startswith(f"1 case unexplained unexplained as expected Which: 1 case, unexplained {CWR}")


def test_a_trait_is_explained_with_its_commit_and_its_releases() -> None:
    text = read(kernel("7.3.4"), kernel("5.10.262")).text
    for trait in PROBES:
        about = ABOUT[trait]
        words = f"commit {about.commit}, " if about.commit else ""
        assert f"{trait} {words}Linux {', '.join(about.releases.split())} {about.means}" in text


def test_whether_a_kernel_has_a_trait_is_unknown_for_a_reason() -> None:
    found = read(kernel("7.3.4"), kernel("5.10.262", unknown={"paylen0": "the lab for it was refused"}))
    row = found.text.index("paylen0 ? unknown ● has")
    assert "? unknown of 5.10.262: the lab for it was refused" in found.text[row:]


def test_traits_that_differ_stand_before_the_others() -> None:
    text = read(kernel("7.3.4"), kernel("7.3.3")).text
    assert "These kernels have the same traits." in text
    assert "No case of the corpus has more than one answer" in text
    text = read(kernel("6.2.1"), kernel("6.1.0")).text
    assert text.index("uso · lacks ● has") < text.index("in which they do not differ") < text.index("uso_128 · lacks")


def test_regressions_and_departures_are_told() -> None:
    traits = {*kernel("6.17.8").traits, "data_valid_lost", "min_gso_8"}
    text = read(kernel("6.17.8", traits=traits - {"uso_128"}), kernel("5.10.262")).text
    about = ABOUT[next(trait for trait in ABOUT if trait == "data_valid_lost")]
    assert f"data_valid_lost on 6.17.8 symptom It {about.symptom}." in text
    assert f"effect {about.effect}" in text
    assert f"fixed by commit {about.fixed}" in text
    assert "fixed by not yet" in text
    assert "6.17.8-cloud-amd64 lacks uso_128, has min_gso_8" in text
    assert "The other kernels have the traits of their releases." in text


def test_kernels_of_the_same_version_have_their_releases_for_names() -> None:
    text = read(kernel("6.12.95"), kernel("6.12.95", release="6.12.95-amd64", traits=())).text
    assert "cases, because of 6.12.95-cloud-amd64 6.12.95-amd64" in text


def test_a_kernel_that_never_came_up_is_told_and_left_out_of_the_comparison() -> None:
    text = read(kernel("7.3.4"), never_up("6.12.95", "it hung"), kernel("5.10.262")).text
    assert "boots seconds problem" in text
    assert "6.12.95-cloud-amd64 built by hand · · 0 3 1 incomplete it hung" in text
    assert "cases, because of 5.10.262 7.3.4" in text
    assert "Not among them: 6.12.95 (it hung)" in text
    assert "All traits of 6.12.95 are unknown: it hung" in text


@pytest.mark.parametrize("kernels", [[], [never_up("6.12.95", "it hung")]])
def test_a_page_without_a_kernel_that_was_asked(kernels: list[KernelResult]) -> None:
    found = read(*kernels)
    assert "No kernel came as far as the corpus." in found.text
    assert found.text.count("Nothing is known of these kernels.") == 2
    assert [link for link in found.links if not link.startswith("#")] == []


def test_boots_and_problems_have_no_column_where_there_are_none() -> None:
    text = read(kernel("7.3.4")).text
    assert "release package cases that agree random frames differences seconds 7.3.4-cloud-amd64" in text
    assert "7.3.4-cloud-amd64 built by hand 1 of 1 · 0 1" in text


# Where it leads ------------------------------------------------------------------------------------------------------


def test_links_lead_to_what_is_there_and_to_nothing_else(tmp_path: Path) -> None:
    release = "6.12.95+deb13~x/1"
    one = kernel("6.12.95", release=release, disagree=(CWR,), differences=3, findings=(FINDING, "gone"), boots=2)
    assert [link for link in read(one, kernel("7.3.4"), folder=tmp_path, asked=(CWR,)).links if link[0] != "#"] == []
    put(
        tmp_path,
        CASES,
        *(f"{release}/{name}" for name in ("index.html", "console.log", "boot-2-console.log", "boot-3-console.log")),
        f"{release}/findings/{FINDING}/repro.txt",
    )
    links = {link for link in read(one, kernel("7.3.4"), folder=tmp_path, asked=(CWR,)).links if link[0] != "#"}
    folder = "6.12.95%2Bdeb13~x%2F1"
    assert links == {
        CASES,
        f"{CASES}#{CWR}",
        f"{folder}/index.html",
        f"{folder}/index.html#{CWR}",
        f"{folder}/console.log",
        f"{folder}/boot-2-console.log",
        f"{folder}/findings",
        f"{folder}/findings/{FINDING}",
        f"{folder}/findings/{FINDING}/repro.txt",
    }


def test_all_places_that_it_leads_to_are_on_it() -> None:
    found = read(kernel("6.17.8"), kernel("5.10.262"), kernel("7.3.4", disagree=(CWR,)))
    places = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(set(places)) == len(places)
    assert {unquote(link[1:]) for link in found.links if link[0] == "#"} <= set(places)


def test_what_kernels_say_is_text_and_nothing_else(tmp_path: Path) -> None:
    hostile = never_up(ATTACK, ATTACK, release=f"6.1.0+{ATTACK}", package=ATTACK)
    other = kernel(
        "6.2.0", release=ATTACK, unknown={"uso": ATTACK}, disagree=(ATTACK,), differences=1, findings=(ATTACK,)
    )
    for kernels in ([hostile], [hostile, other, kernel("7.3.4")]):
        found = read(*kernels, folder=tmp_path)
        assert [tag for tag, _ in found.tags if tag in {"script", "img"}] == []
        assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
        assert all(link[0] == "#" for link in found.links)
        assert "<script>alert(1)</script>" in found.text


def test_it_asks_for_nothing() -> None:
    found = read(kernel("7.3.4"), kernel("5.10.262"))
    (policy,) = (one["content"] for tag, one in found.tags if one.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'; ")
    assert "script-src" not in str(policy)
    assert [one["href"] for tag, one in found.tags if tag == "link"] == ["data:,"]


# Writing -------------------------------------------------------------------------------------------------------------


def asked(folder: Path, one: KernelResult) -> KernelResult:
    """Leave behind what a kernel leaves in its folder."""
    cases = [CORPUS.cases[CWR]]
    run = heading(one.release, Probed(frozenset(), {}), cases, CORPUS, CWR)
    keep(folder / one.release, run_kernel(run, cases, lambda _: [], lambda *_: None))
    return one


def test_both_pages_the_summary_and_the_results_are_written(tmp_path: Path) -> None:
    kernels = [asked(tmp_path, kernel("7.3.4")), asked(tmp_path, kernel("5.10.262", disagree=(CWR,)))]
    path = publish(tmp_path, kernels, CORPUS)
    assert path == tmp_path / "index.html"
    assert {one.name for one in tmp_path.iterdir() if one.is_file()} == {"index.html", CASES, "kernels.md", MATRIX}
    found = Read(path.read_bytes())
    assert f"{CASES}#{CWR}" in found.links
    assert not any(link.startswith(f"{CASES}#read/udp") for link in found.links), "they were not asked"
    assert b"2 runs side by side" in (tmp_path / CASES).read_bytes()
    for link in found.links:
        name = unquote(re.sub("#.*", "", link))
        assert (tmp_path / name).exists()


def test_without_a_kernel_that_was_asked_there_is_no_page_of_cases(tmp_path: Path) -> None:
    put(tmp_path, CASES)
    clear(tmp_path)
    path = publish(tmp_path, [never_up("7.3.4")], CORPUS)
    assert b"none could be examined" in path.read_bytes()
    assert not (tmp_path / CASES).exists(), "it was of an earlier run"


def test_results_without_frames_are_written(tmp_path: Path) -> None:
    one = asked(tmp_path, kernel("7.3.4", frames=None))
    assert b"nothing is unexplained" in publish(tmp_path, [one], CORPUS).read_bytes()
    some = asked(tmp_path, kernel("7.3.4", frames=frames(0)))
    assert b"1000" in publish(tmp_path, [some], CORPUS).read_bytes()


def test_a_folder_that_cannot_be_written_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "file")
    with pytest.raises(UsageError, match="file is not a folder"):
        publish(tmp_path / "file", [never_up("7.3.4")], CORPUS)
    publish(tmp_path, [never_up("7.3.4")], CORPUS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EnvironmentProblem, match="No space left"):
        publish(tmp_path, [never_up("6.12.95")], CORPUS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
