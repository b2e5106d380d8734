"""For test suites: conformance from within Python, cases as pytest tests, and a tunnel for experiments.

conformance    a subject against the corpus in one call
pytest_plugin  the options of `pytest --tunproof-adapter`, and nothing else until one is given
pytest_cases   one test for each case
tunnel         the reference at work as a VPN would use it
"""
