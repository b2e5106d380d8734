"""The plugin for pytest: `pytest --tunproof-adapter 'CMD ARGS'` runs the corpus, one test for each case.

Every pytest run on a machine with tunproof loads this module, so it imports nothing, and does nothing, until somebody
names an adapter.
"""

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options. What they mean for `tunproof check` they mean here."""
    group = parser.getgroup("tunproof", "TUN offload conformance (tunproof)")
    group.addoption(
        "--tunproof-adapter",
        metavar="SUBJECT",
        help="Put the corpus to this: the command line of an adapter in one word, python:MODULE:FACTORY, or reference.",
    )
    group.addoption(
        "--tunproof-select", metavar="GLOB", default="*", help="Only cases whose id matches, such as 'read/tcp4/*'."
    )
    group.addoption("--tunproof-baseline", metavar="FILE", help="Known failures (TOML), which are expected.")
    group.addoption(
        "--tunproof-mode",
        metavar="MODE",
        help="How frames reach an adapter's implementation. device-* needs a lab, and without root makes all of pytest "
        "root of a user namespace of its own.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Go to work where there is something to test."""
    if config.getoption("tunproof_adapter") is not None:
        from tunproof.testing.pytest_cases import Plugin  # noqa: PLC0415 (see above)

        config.pluginmanager.register(Plugin(config), "tunproof-cases")
