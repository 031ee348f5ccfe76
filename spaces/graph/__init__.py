"""The graph of a network: traced, with the meaning of every operation, and what follows from it.

Graphs are read here; layers change in the rooms that compress them.
"""
