"""What one search is: its definition from YAML, and what every study runs first.

Nothing here runs a trial or knows where it is stored.
"""
