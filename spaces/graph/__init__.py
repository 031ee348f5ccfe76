"""The graph of a network: read once, with the kind of every operation, and what follows from it.

Graphs are read here; layers change in the rooms that compress them.
"""
