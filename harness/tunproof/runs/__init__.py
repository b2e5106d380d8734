"""Runs: cases run against a subject, judged, compared with a baseline, and recorded.

results   the stream of results, from which all reports are made
baseline  known failures
causes    results that one defect explains, as one
compare   two runs, by their causes
limits    limits that are claimed, put to the test
taker     the results that a run keeps
runner    runs, judges and records every case
check     a whole run of an implementation, from start to last record
kernel    a run of the corpus on a kernel
findings  what fuzzing found, on disk
"""
