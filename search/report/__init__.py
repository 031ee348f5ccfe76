"""A study written down for people: one HTML file whose pictures can be asked, or Markdown.

Here is what a report holds and how its file comes about; what is stored, ranked and priced is decided
elsewhere.
"""
