"""The golden corpus as data: its types, reading it, and exporting it. Cases are made in `authoring`.

model         what all cases share
cases         the seven operations, and the file of a topic
script        the steps and answers of a lifecycle
codec         bytes inside, hex in JSON
capabilities  what a case may require
claims        what a subject may claim, and which cases lie outside that
traits        the kernel traits that a case may name
load          from files to checked cases
schema        the JSON Schemas of the files
expected      what should come out, as packets or frames
wording       steps, answers and kernels in a few words
stats         the corpus in numbers
export        a folder or a capture for others
"""
