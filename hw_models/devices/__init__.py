"""Devices by name: their fits, their predictions, and a user's own beside the built-in ones.

How a fit is made is a matter of `fitting`.
"""
