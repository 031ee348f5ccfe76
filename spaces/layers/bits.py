"""How many bits a number takes where nothing narrower is said."""

#: float32, the type of every network before compression
FLOAT_BITS = 32
