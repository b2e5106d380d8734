"""The plugin for pytest: `pytest --tunproof-adapter 'CMD ARGS'` runs the corpus, one test for each case.

Every pytest run on a machine with tunproof loads this module, so it imports nothing, and does nothing, until an
adapter is named.
"""

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options. They mean the same as for `tunproof check`."""
    group = parser.getgroup("tunproof", "TUN offload conformance (tunproof)")
    group.addoption(
        "--tunproof-adapter",
        metavar="SUBJECT",
        help="Run the corpus against this: an adapter's command line as one argument, python:MODULE:FACTORY, or "
        "reference.",
    )
    group.addoption(
        "--tunproof-select", metavar="GLOB", default="*", help="Only cases whose id matches, such as 'read/tcp4/*'."
    )
    for name, what in (
        ("op", "of this operation, such as read"),
        ("flag", "that guard against this class of bug"),
        ("level", "that bind like this: must, should, may"),
        ("reach", "with input from kernel, peer, caller or hostile"),
    ):
        group.addoption(f"--tunproof-{name}", metavar=name.upper(), help=f"Only cases {what}.")
    group.addoption("--tunproof-strict", action="store_true", help="Advice counts: cases of level should fail, too.")
    group.addoption("--tunproof-baseline", metavar="FILE", help="Known failures (TOML), which are expected.")
    group.addoption(
        "--tunproof-mode",
        metavar="MODE",
        help="How frames reach an adapter's implementation. device-* needs a lab, and without root makes the "
        "pytest process root of its own user namespace.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin if there is something to test."""
    if config.getoption("tunproof_adapter") is not None:
        from tunproof.testing.pytest_cases import Plugin  # noqa: PLC0415 (see above)

        config.pluginmanager.register(Plugin(config), "tunproof-cases")
