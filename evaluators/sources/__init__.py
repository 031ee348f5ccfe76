"""Readers of a user's own data, a file a format, and what decodes them once into Arrow files.

What a data set is, and the built-in ones, is known in `evaluators/datasets/`.
"""
