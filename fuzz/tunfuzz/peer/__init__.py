"""The peer differential: the same inputs to the reference and to any adapter of `tunproof check`.

    repair       lengths and sums of a packet made right again
    batching     what must hold for the frames of any batch
    cases        an input becomes a case: the reference's answer is the expectation, and what it requires of a subject
    pools        what inputs are made of
    inputs       numbered blocks of inputs, decided by a seed
    latitude     where implementations may differ by right
    judging      the suite's own judge, and the name under which differences are the same one
    smaller      what is smaller than an input, and the greedy way down
    report       from a difference to a finding, and back
    request      what is wanted of a run, and what came of it
    resemblance  the class of bugs whose golden cases fail alike
    met          what is done about a difference
    run          the loop
    text         the summary for people
    command      `tunproof fuzz adapter`

Each knows only those above it.
"""
