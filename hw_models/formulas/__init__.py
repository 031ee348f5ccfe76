"""The formulas that price latency and memory, and the words that they are written in.

Each is a sum of terms over a layer table; coefficients come from `fitting`.
"""
