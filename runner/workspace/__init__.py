"""The isolated checkout that an agent works in, and what comes out of it.

In: a remote and a commit. Out: a folder to work in, then the changes found there as a patch on a clean clone.
"""
