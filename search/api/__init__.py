"""What `from atoll import …` gives and the commands call: searches, prices, exports; each has a typed result.

Options, tables and exit statuses are the commands' own; the work itself is done by the rooms below.
"""
