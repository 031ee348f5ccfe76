"""A network as others' exporters take it: ordinary operations, and integers as pairs that they know.

What they then write, and whether it is the network, is in `evaluators/delivery/`.
"""
