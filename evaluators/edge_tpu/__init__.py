"""Whether the Edge TPU would take a file, operator by operator, and what to change.

What it would take in time is a matter of `hw_models`.
"""
