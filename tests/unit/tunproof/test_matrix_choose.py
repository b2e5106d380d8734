"""A name means one package, and a package's files are found in any of Debian's layouts."""

import itertools
import struct
from pathlib import Path

import pytest

from common.fake_archive import bzimage
from tunproof.errors import UsageError
from tunproof.matrix.archive import Package, stanzas
from tunproof.matrix.choose import choose, choose_kept, lacking, offered, parts, upstream_of, wish
from tunproof.matrix.kernels import Kernel, cache_folder, own
from tunproof.matrix.order import order


def package(name: str, version: str, *needs: str) -> Package:
    return Package(name, version, 1, "", tuple(tuple(need.split(" | ")) for need in needs))


BASE, BINARY, MODULES = (f"linux-{part}-7.3.4+deb13-cloud-amd64" for part in ("base", "binary", "modules"))
BPO = "7.3.4-1~bpo13+1"
OFFER = [
    package("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2"),
    package("linux-image-6.12.9+deb13-cloud-amd64", "6.12.9-1"),
    package("linux-image-6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1"),
    package("linux-image-6.12.117+deb13-cloud-amd64-unsigned", "6.12.117-1"),
    package("linux-image-6.12.117+deb13-cloud-amd64", "6.12.117-1"),
    package("linux-image-6.12.117+deb13-amd64", "6.12.117-1"),
    package("linux-image-6.12.117+deb13-rt-amd64", "6.12.117-1"),
    package("linux-image-6.12-cloud-amd64", "6.12.117-1", "linux-image-6.12.117+deb13-cloud-amd64"),
    package("linux-image-6.12-amd64-signed-template", "6.12.117-1"),
    package("linux-image-6.18.15+deb13-cloud-amd64", "6.18.15-1", "kmod", "linux-base-6.18.15+deb13-cloud-amd64"),
    package("linux-base-6.18.15+deb13-cloud-amd64", "6.18.15-1"),
    package("linux-image-6.20.1-amd64-unsigned", "6.20.1-1"),
    package("linux-image-7.3.4+deb13-cloud-amd64", BPO, "dracut | initramfs-tools", BASE, BINARY, MODULES),
    package(BASE, BPO),
    package(BINARY, BPO, BASE),
    package(MODULES, BPO, "kmod", BASE),
    package(MODULES, "7.3.4-0"),
]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("6.1", "linux-image-6.1.0-56-cloud-amd64"),  # and not one of 6.12
        ("6.12", "linux-image-6.12.117+deb13-cloud-amd64"),
        ("6.12.9", "linux-image-6.12.9+deb13-cloud-amd64"),
        ("6.12.117-1~deb12u1", "linux-image-6.12.117+deb12-cloud-amd64"),
        ("6.12.117+deb13-rt-amd64", "linux-image-6.12.117+deb13-rt-amd64"),
        ("6.1.0-56-cloud-amd64", "linux-image-6.1.0-56-cloud-amd64"),
        ("linux-image-6.12.117+deb13-amd64", "linux-image-6.12.117+deb13-amd64"),
        ("linux-image-6.12-cloud-amd64", "linux-image-6.12.117+deb13-cloud-amd64"),
        ("6.20", "linux-image-6.20.1-amd64-unsigned"),  # the only one is as good
        ("7.3", "linux-image-7.3.4+deb13-cloud-amd64"),
    ],
)
def test_a_word_means_one_package_in_whatever_order_lists_come(word: str, name: str) -> None:
    for offer in (OFFER, OFFER[::-1]):
        chosen = choose(wish(word), offer)
        assert chosen is not None
        assert chosen.name == name


@pytest.mark.parametrize("word", ["6.13", "6.12.8", "6.12.117+deb14-cloud-amd64", "linux-image-amd64", "6.2"])
def test_what_nobody_offers_is_not_replaced_by_something_near(word: str) -> None:
    assert choose(wish(word), OFFER) is None


def test_a_realtime_kernel_is_never_the_answer_to_a_series() -> None:
    assert choose(wish("6.12"), [package("linux-image-6.12.1-rt-amd64", "6.12.1-1")]) is None


@pytest.mark.parametrize(
    "word", ["", "linux", "6", "newest", "v6.12", "6.12.", "../6.12.1", "linux-image-../x", "-6.1"]
)
def test_a_word_that_names_no_kernel_is_wrong_use(word: str) -> None:
    with pytest.raises(UsageError, match="series"):
        wish(word)


def test_what_is_there_instead_is_said() -> None:
    assert offered(wish("6.12.50"), OFFER) == "of 6.12 there are 6.12.9, 6.12.117"
    assert offered(wish("6.13"), OFFER) == "there are the series 6.1, 6.12, 6.18, 6.20, 7.3"
    assert offered(wish("6.13"), []) == "there are the series none"


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("6.12", ["linux-image-6.12.117+deb13-cloud-amd64"]),
        ("6.18", ["linux-image-6.18.15+deb13-cloud-amd64", "linux-base-6.18.15+deb13-cloud-amd64"]),
        ("7.3", ["linux-image-7.3.4+deb13-cloud-amd64", BASE, BINARY, MODULES]),
    ],
)
def test_all_parts_of_a_kernel_are_found(word: str, names: list[str]) -> None:
    image = choose(wish(word), OFFER)
    assert image is not None
    found = parts(image, OFFER)
    assert sorted(part.name for part in found) == sorted(names)
    assert {part.version for part in found} == {image.version}
    assert found[0] == image


def test_an_unsigned_binary_stands_in_for_a_signed_one_that_is_not_offered() -> None:
    image = package("linux-image-7.4.1-amd64", "7.4.1-1", "linux-binary-7.4.1-amd64")
    unsigned = package("linux-binary-unsigned-7.4.1-amd64", "7.4.1-1")
    assert parts(image, [image, unsigned]) == (image, unsigned)


def test_a_kernel_whose_modules_are_gone_is_not_preferred_and_not_offered() -> None:
    image = package("linux-image-7.3.5-amd64", "7.3.5-1", "linux-binary-7.3.5-amd64", "linux-modules-7.3.5-amd64")
    offer = [*OFFER, image, package("linux-binary-7.3.5-amd64", "7.3.5-1")]
    assert lacking(image, offer) == ["linux-modules-7.3.5-amd64"]
    assert lacking(OFFER[12], offer) == []
    assert choose(wish("7.3.5"), offer) == image
    assert choose(wish("7.3"), offer) == OFFER[12]
    cloud = package("linux-image-7.3.6-cloud-amd64", "7.3.6-1", "linux-modules-7.3.6-cloud-amd64")
    assert choose(wish("7.3"), [*offer, cloud]) == OFFER[12]
    assert offered(wish("7.3.1"), [*offer, cloud]) == "of 7.3 there are 7.3.4"


def test_the_cache_is_asked_by_the_same_rules() -> None:
    kept = [
        Kernel(release=release, version=upstream_of(version), package=f"linux-image-{release} {version}",
               image=Path(), modules=None)
        for release, version in [
            ("6.12.9+deb13-cloud-amd64", "6.12.9-1"),
            ("6.12.117+deb13-cloud-amd64", "6.12.117-1"),
            ("6.12.118+deb13-rt-amd64", "6.12.118-1"),
            ("6.1.0-56-cloud-amd64", "6.1.192-2"),
        ]
    ]  # fmt: skip
    for word, release in [
        ("6.12", "6.12.117+deb13-cloud-amd64"),
        ("6.12.9", "6.12.9+deb13-cloud-amd64"),
        ("linux-image-6.12.9+deb13-cloud-amd64", "6.12.9+deb13-cloud-amd64"),
        ("6.12.118+deb13-rt-amd64", "6.12.118+deb13-rt-amd64"),
    ]:
        chosen = choose_kept(wish(word), kept)
        assert chosen is not None
        assert chosen.release == release
    assert choose_kept(wish("linux-image-cloud-amd64"), kept) is None


def test_versions_sort_as_the_policy_says() -> None:
    """The list is what `dpkg --compare-versions` says of each pair."""
    right = [
        "5.10.262-1", "6.1~rc1-1", "6.1-1", "6.1.9-1", "6.1.192-1", "6.1.192-2", "6.9", "6.12.1-1~bpo12+1",
        "6.12.1-1~deb12u1", "6.12.1-1", "6.12.1-1+b1", "6.12.1-10", "6.12.1a-1", "6.12.1+x-1", "7.0", "1:1.0-1",
    ]  # fmt: skip
    assert sorted(set(right), key=order) == right
    assert all(order(one) < order(two) for one, two in itertools.pairwise(right))


def test_stanzas_of_kernels_are_found_and_no_others() -> None:
    text = b"""Package: linux-image-7.3.4+deb13-cloud-amd64
Source: linux-signed-amd64 (7.3.4+1~bpo13+1)
Version: 7.3.4-1~bpo13+1
Architecture: amd64
Depends: dracut | initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, linux-base-7.3.4 (= 7.3.4-1~bpo13+1)
Pre-Depends: linux-base (>= 4.17~)
Description: Linux 7.3 for x86-64 cloud
 Package: linux-image-lies-amd64
Size: 1928
SHA256: 00ff

Package: linux-image-7.3.4-amd64-dbg
Version: 7.3.4-1
Architecture: amd64

Package: linux-libc-dev-amd64-cross
Version: 6.12.38-1cross1
Architecture: all

Package: linux-image-6.1.0-1-arm64
Version: 6.1.1-1
Architecture: arm64

Package: linux-binary-7.3.4-amd64
Version: 7.3.4-1
Architecture: amd64
Size: 7"""
    needs = (("linux-base",), ("dracut", "initramfs-tools", "linux-initramfs-tool"), ("linux-base-7.3.4",))
    assert list(stanzas(text)) == [
        Package("linux-image-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", 1928, "00ff", needs),
        Package("linux-binary-7.3.4-amd64", "7.3.4-1", 7, ""),
    ]


def test_a_kernel_of_ones_own_says_itself_who_it_is(tmp_path: Path) -> None:
    image, modules = tmp_path / "bzImage", tmp_path / "modules"
    (modules / "kernel").mkdir(parents=True)
    image.write_bytes(bzimage("6.19.0-rc3-mine+ (me@here) (gcc 14) #7 SMP"))
    kernel = own(image, modules)
    assert (kernel.release, kernel.version, kernel.package) == ("6.19.0-rc3-mine+", "6.19.0", "")
    assert (kernel.image, kernel.modules) == (image, modules)
    image.write_bytes(bzimage("5.10.0-46-cloud-amd64 (d@d.org) (gcc-10) #1 SMP Debian 5.10.262-1 (2026-10-01)"))
    assert own(image, None).version == "5.10.262"
    assert own(image, None).modules is None


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", bzimage("6.1", magic=b"none"), bzimage(""), bzimage("mine (me@here)"), None]
)
def test_what_is_no_kernel_is_wrong_use(tmp_path: Path, data: bytes | None) -> None:
    image = tmp_path / "image"
    if data is not None:
        image.write_bytes(data)
    with pytest.raises(UsageError, match="image"):
        own(image, None)


def test_a_kernel_whose_banner_lies_beyond_its_end_is_wrong_use(tmp_path: Path) -> None:
    data = bytearray(bzimage("6.1"))
    struct.pack_into("<H", data, 0x20E, 0x7FFF)
    (tmp_path / "image").write_bytes(data)
    with pytest.raises(UsageError):
        own(tmp_path / "image", None)


def test_modules_of_ones_own_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bzimage("6.1.0 (me@here)"))
    with pytest.raises(UsageError, match="no folder kernel"):
        own(tmp_path / "image", tmp_path / "modules")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNPROOF_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/tunproof/kernels")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/tunproof/kernels")
    monkeypatch.setenv("TUNPROOF_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
