"""What a technique is, what its settings may be, and what it may ask of the world.

The techniques themselves are a catalogue of their own in `techniques`.
"""
