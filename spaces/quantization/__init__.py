"""Grids for weights and activations: where they go, which share one, and how much each costs.

The grids themselves are constraints in `layers`.
"""
