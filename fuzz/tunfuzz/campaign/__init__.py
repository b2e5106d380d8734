"""Campaigns: millions of numbered cases, over the cores of a machine or over a Dask cluster.

A campaign is a seed and a number of cases, split into shards (`tunfuzz.shard`). What runs a shard may die: processes
of our own (`pool`, `process`, `worker`) or the workers of a cluster (`cluster`, `remote`). What cannot be lost is the
state file (`state`): a line for each finished shard, on disk before anything else happens. `conduct` brings
them together (start reading at `conduct.run`), `summary` and `text` report the results, `command` is the command line.

Nothing is imported here: the command line loads `command` for every `--help`.
"""
