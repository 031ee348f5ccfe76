"""A trial as a folder that ships: written, proven, described, and verified again later.

The forms of the files themselves are written by the evaluators.
"""
