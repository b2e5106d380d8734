"""Subjects: whatever answers cases, in this process or behind the protocol.

subject            an implementation in this process: one method an operation
asker              cases in, outcomes out, whatever stands behind it
connect            from words on a command line to an asker
reference          the reference as a subject
reference_adapter  the reference behind the protocol
adapters/          programs that speak the protocol
lifecycle/         steps of a lifecycle, played on real fds
"""
