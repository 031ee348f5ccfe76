"""The graph of an adopted network as JSON, and the network from it: no code of the user's, none that is run.

What a call or layer means is not known here, only which there are.
"""
