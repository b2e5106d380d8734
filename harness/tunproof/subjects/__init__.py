"""Subjects: what cases are run against, in this process or behind the protocol.

subject            an implementation in this process: one method per operation
connection         cases in, observations out, for any subject
connect            from command-line arguments to a connection
reference          the reference as a subject
reference_adapter  the reference behind the protocol
adapters/          programs that speak the protocol
lifecycle/         steps of a lifecycle, played on real fds
"""
