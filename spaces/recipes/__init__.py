"""Recipes: ordered sequences of steps, which orders are legal, and what steps do to each other.

What a single technique does stands in `techniques`.
"""
