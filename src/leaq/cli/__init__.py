"""The command line: one file a verb, one library call a command. typer and rich live here only.

Importing this room loads no library that computes: commands import what they call, so that ``leaq --help`` is quick.
"""
