"""The driver of a study: decides what runs next, has Ray run it, makes what came of it durable.

Who proposes recipes, how trials are stored and what a study is live in rooms of their own.
"""
