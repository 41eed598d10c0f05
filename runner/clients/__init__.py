"""The doors to outside programs: one module per program, and nothing else starts it."""
