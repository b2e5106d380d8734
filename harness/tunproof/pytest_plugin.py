"""Kept for `pytest -p tunproof.pytest_plugin`, until tunproof 0.3: it is `tunproof.testing.pytest_plugin`."""

from tunproof.testing.pytest_plugin import pytest_addoption, pytest_configure

__all__ = ["pytest_addoption", "pytest_configure"]
