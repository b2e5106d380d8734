"""Kernels: what they are by their traits, and what is put to them.

probes    frames that tell kernels apart, and the traits of the running one
replay    the corpus through a real TUN: the hot path
describe  a kernel's traits, departures and regressions in words
"""
