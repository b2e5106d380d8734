"""The judge: compares the outcome of a case with what must come out. It judges once; reports only render its verdicts.

outcome    what a subject did, whether right or not
verdict    the types of a verdict: all that reports need
mismatch   packets and frames that differ, paired
signature  what happened, in a word and a field
decide     from an outcome to a verdict
batch      the constraints on the frames of a batch
kernel     the judge of kernels
"""
