"""GitHub: its API, tokens of an App, and the pace that GitHub asks for."""
