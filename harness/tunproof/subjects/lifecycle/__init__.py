"""Lifecycles: scripts of steps on containers and queues, played on wires and real devices.

calls     calls in their own threads, waited for with a deadline
nearside  the subject's steps
scenery   the fds, wires and devices that the steps use: the runner's part
player    a script on the reference, step by step
adapter   the same behind the protocol
"""
