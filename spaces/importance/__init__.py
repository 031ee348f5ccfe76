"""How much a weight or a channel matters, measured on the network with its data.

Criteria that need the weights alone stand in `kernels`.
"""
