"""The conversation with an adapter, for those who write one.

messages  every message as a type
text      the same as Markdown
kit       the kits to begin with, which are in kits/
"""
