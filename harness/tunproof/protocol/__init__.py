"""The protocol between runner and adapter, for people who write adapters.

messages  every message as a type
text      the same as Markdown
kit       the kits to start from, which are in kits/
"""
