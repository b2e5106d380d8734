"""Real implementations under check: builds the adapters of `harness/peers`, and runs the corpus against them.

recipe: what a peer is: its `peer.toml`, and the versions that its manifest pins.
build: from a recipe to a program, with the ordinary clients of Go, Cargo and pip.
run: the command behind `make peers`.
"""
