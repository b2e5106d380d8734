"""Campaigns: millions of numbered cases, over the cores of a machine or over a Dask cluster.

A campaign is a seed and a number of cases, cut into shards (`tunfuzz.shard`). Whoever asks a shard may die: processes
of our own (`pool`, `process`, `worker`) or the workers of a cluster (`cluster`, `remote`). What cannot be lost is the
state file (`state`): a line for each finished shard, on the disk before anything else happens. `conduct` brings
them together (`conduct.run` is where to begin), `summary` and `text` say what came out, `command` is the command line.

Nothing is imported here: the command line loads `command` for every `--help`.
"""
