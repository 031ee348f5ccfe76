"""Asking the store by SQL: where a statement comes from, how its answer is written, the interactive shell.

Knows nothing of what the tables mean, and reads alone: whatever is asked goes through `Store.user_query`.
"""
