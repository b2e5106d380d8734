"""Kernels: their traits, and how cases are run against them.

probes    frames that tell kernels apart, and the traits of the running one
replay    the corpus through a real TUN: the hot path
handover  which frames of the corpus a kernel hands to a reader
describe  a kernel's traits, departures and regressions in words
"""
