"""What a recipe's order was worth: its steps in other orders and with one left out, run and compared.

What a search tries, and how one recipe is evaluated, lives elsewhere.
"""
