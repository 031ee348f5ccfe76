"""What comes from outside is data: names, texts, tables and files are bounded, checked and escaped here.

What they mean is known by whoever asked for them.
"""
