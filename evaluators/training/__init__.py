"""The one training loop that everything shares, and the views of images that it trains on.

What is trained, on which data and for how long is said by the caller.
"""
