"""What to try next, and the one number that says how good a trial was.

Pure functions of what is known; nothing here runs, stores or prints.
"""
