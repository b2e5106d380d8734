"""Strategies for hypothesis: headers, packets, frames, superpackets, batches, lifecycles.

vnet           vnet headers: correct, nearly correct, any numbers
headers        correct IP and transport headers, without lengths and checksums
extensions     IPv4 options and IPv6 extension headers that are wrong or rare
superpackets   frames that every implementation must treat the same way
oddities       UFO, UDP tunnels, other protocols, packets too long, frames too short
anything       valid, nearly valid and hostile packets and frames
arguments      `write_gso`, with and without a fault
traffic        batches for a coalescer
lifecycles     what a container goes through

`tunfuzz` exports the public ones.
"""
