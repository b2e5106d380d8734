"""The judge: what came of a case, held against what must come out. It speaks once; reports render what it said.

outcome  what a subject did, without a word on whether it is right
verdict  the judge's word
decide   from an outcome to a verdict
batch    the constraints on the frames of a batch
"""
