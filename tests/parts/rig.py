"""A sandbox to try things in, whatever its kind."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.core.model import Exit
from runner.sandboxes import SANDBOXES, Sandbox, SandboxKind, SandboxSpec


class Rig:
    """A sandbox of one kind, and the same small programs in the language that it runs."""

    def __init__(self, kind: SandboxKind, image: str, folder: Path) -> None:
        self.kind, self.image, self.folder = kind, image, folder
        self.stack = ExitStack()
        self.out: list[tuple[str, bytes]] = []

    def spec(self, **fields: Any) -> SandboxSpec:
        workspace, exchange = self.folder / "workspace", self.folder / "exchange"
        for path in (workspace, exchange):
            path.mkdir(exist_ok=True)
            if self.kind.owner:
                os.chown(path, *self.kind.owner)
        return SandboxSpec(
            run_id=f"test-{os.getpid()}-{self.folder.name}",
            image=self.image,
            workspace=workspace,
            exchange=exchange,
            **fields,
        )

    def open(self, **fields: Any) -> Sandbox:
        return self.stack.enter_context(self.kind.open(self.spec(**fields)))

    def run(self, sandbox: Sandbox, shell: str, script: tuple[str, ...] = (), **options: Any) -> Exit:
        """Run `shell` with sh, or `script` in the fake's language."""
        argv = script if self.kind.name == "fake" else ("sh", "-c", shell)
        options.setdefault("on_output", lambda stream, data: self.out.append((stream, data)))
        return sandbox.exec(argv, **options)

    def printed(self, stream: str = "stdout") -> bytes:
        return b"".join(data for name, data in self.out if name == stream)


@contextmanager
def opened_rig(kind: str, image: str, folder: Path) -> Iterator[Rig]:
    """Whatever was opened in it is closed at the end."""
    made = Rig(SANDBOXES.get(kind), image, folder)
    with made.stack:
        yield made


@pytest.fixture
def container(tmp_path: Path, local_image: str) -> Iterator[Rig]:
    """A rig of containers."""
    with opened_rig("docker", local_image, tmp_path) as made:
        yield made
