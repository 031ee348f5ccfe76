"""Layers written as several smaller ones: which can be, in which form, and fitted to what they gave.

The mathematics of the factors stands in `kernels`, the layers themselves in `layers`.
"""
