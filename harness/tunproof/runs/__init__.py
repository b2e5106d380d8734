"""Runs: cases put to a subject, judged, held against a baseline, and recorded.

results   the stream of results, the one thing that all reports are made of
baseline  failures that are known
runner    runs, judges and records every case
check     a run of an implementation from its first word to its last record
kernel    what a kernel said, as results
findings  what fuzzing found, on disk
"""
