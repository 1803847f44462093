"""The pages of the docs as a reader takes them: what is typed, and what is seen then.

`page` reads a page, `reader` types it into a machine of a lab's, `grammar` has ocinet's own
parsers read what can't be typed there.
"""
