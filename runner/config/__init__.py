"""What people write: documents with positions, and the models of settings.

In: the text of a file. Out: checked values, or every fault of it with file, line and column.
"""
