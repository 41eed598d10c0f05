"""The real parts that tests share, each in its own module under tests/parts."""

pytest_plugins = [
    "tests.parts.cli",
    "tests.parts.engine",
    "tests.parts.github",
    "tests.parts.github_model",
    "tests.parts.image",
    "tests.parts.items",
    "tests.parts.model_server",
    "tests.parts.patience",
    "tests.parts.plugins",
    "tests.parts.publishing",
    "tests.parts.rig",
    "tests.parts.act",
    "tests.parts.postgres",
    "tests.parts.listener",
    "tests.parts.workers",
]
