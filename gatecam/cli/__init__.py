"""Define the command line, with one file per command.

Heavy imports are inside the commands, so that `gatecam --help` is fast.
"""
