"""What is told of one export: card, waterfall, and the bundle from which a network is built again.

The figures are measured elsewhere; here they are put together and written down.
"""
