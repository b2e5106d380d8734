"""Driving a program that speaks the protocol.

    warden     a small process between runner and adapter: no child outlives it, and it measures memory
    process    one adapter process: lines in, lines out, stderr kept, deadlines
    client     the conversation: hello, run, batch, bye, and what is wrong with a reply
    dialogue   cases in the protocol's terms, and replies as outcomes
    transport  how frames reach the implementation, and the first kind: in messages
    wire       a socket pair in the TUN's place
    device     a real TUN
    honesty    the checks that tell a broken adapter from a broken implementation
    leftovers  which kinds of errors leave something behind
    adapter    cases in, observations out: batches, restarts, the search for the culprit

Each imports only those above it.
"""
