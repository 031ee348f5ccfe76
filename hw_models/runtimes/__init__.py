"""Runtimes: which release loads which version of an operator, so which files, and what LiteRT Micro runs.

Nothing here knows a network, a device or a price.
"""
