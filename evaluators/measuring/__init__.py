"""What a network and its file are worth: quality, sizes, work, agreement of the two.

What the figures mean together is a matter of `ranking`.
"""
