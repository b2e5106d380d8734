"""The peer differential: the same inputs to the reference and to any adapter of `tunproof check`.

    mishaps      what goes wrong in tunproof itself
    repair       correcting the lengths and sums of a packet
    batching     what must hold for the frames of any batch
    cases        an input becomes a case: the reference's answer is the expectation, with what it requires of a subject
    pools        what inputs are made from
    inputs       numbered blocks of inputs, determined by a seed
    latitude     where implementations may legitimately differ
    judging      the suite's own judge, and the name under which differences count as the same
    smaller      smaller versions of an input, and the greedy descent
    report       from a difference to a finding, and back
    known        what is known to differ, in a file
    request      what a run is to do, and its results
    resemblance  the class of bugs whose golden cases fail alike
    met          handling a difference
    run          the loop
    text         the summary for people
    command      `tunproof fuzz adapter`

Each imports only those above it.
"""
