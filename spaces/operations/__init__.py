"""Operations: what a call means, what it does to the values, and how integers go through it.

One call at a time; what a whole network is made of stands in the room of graphs.
"""
