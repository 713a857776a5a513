"""Data sets, trainers, slow style transfer, evaluation and batch work.

The law of this room: it may take all night, and leaves behind only files.
"""
