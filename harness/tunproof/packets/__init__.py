"""Packets and frames as bytes: named, compared, drawn, built with scapy, and captured. Nothing here knows of cases.

fields      which field a byte belongs to, and what it says
equality    when two packets are the same although their bytes are not
difference  the first place where two packets differ
frame       a written frame: the header rules that it breaks, the packets that it stands for
picture     the drawing of a cut, and fields as rows
pcapng      captures for Wireshark
builder     packets and frames made by scapy, an independent library
summing     the Internet checksum in the plainest way
"""
