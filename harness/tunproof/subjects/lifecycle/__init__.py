"""Lifecycles: scripts of steps on containers and queues, played on wires and real devices.

nearside  the steps that are the subject's
scenery   the fds, wires and devices that the steps are about: the runner's part
player    a script on the reference, step by step
adapter   the same behind the protocol
"""
