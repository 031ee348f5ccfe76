"""Metrics, what a study demands of them, and the papers' weighted ranking over them.

Nothing here trains or measures.
"""
