"""How cases are made: written in Python, recorded from the running kernel, confirmed by oracles. Only in a checkout.

draft      what an author writes down
authors/   the cases, by operation and topic
flags/     the classes of bugs that they guard against
lives      lifecycles, each step beside its correct answers
oracle     second opinions by scapy and ctypes
record     from a draft to a case
reach      where an implementation can meet the input of a case
build      the whole corpus
lint       what a corpus must satisfy beyond its types
promote    from a finding to author code, with bytes as `spelling` writes them
swap       a folder replaced in one step
guide      the protocol reference, the guide's table of verdicts, and the JSON Schemas
"""
