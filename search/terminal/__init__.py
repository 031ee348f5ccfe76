"""What every command shares at the terminal: tables in their formats, options, words from outside.

Knows nothing of studies beyond the rows that it is handed.
"""
