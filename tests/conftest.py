"""The real parts that tests share, each in its own module under tests/parts."""

pytest_plugins: list[str] = []
