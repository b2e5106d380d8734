"""Kept for what already imports it, until tunproof 0.3: import it from `tunproof`."""

from tunproof.testing.conformance import ConformanceError, run_conformance

__all__ = ["ConformanceError", "run_conformance"]
