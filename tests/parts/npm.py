"""As much of the npm registry as fetching a package needs."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.parts.site import Quiet, site


def packed(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """An archive as npm makes them: all is below one folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return out.getvalue()


def sha512(data: bytes) -> str:
    return base64.b64encode(hashlib.sha512(data).digest()).decode()


@dataclass(slots=True)
class Registry:
    url: str = ""
    archives: dict[str, bytes] = field(default_factory=dict)  # by path
    documents: dict[str, object] = field(default_factory=dict)  # by path
    statuses: dict[str, int] = field(default_factory=dict)  # by path, in place of 200
    asked: list[str] = field(default_factory=list)

    def publish(self, name: str, version: str, archive: bytes, integrity: str | None = None) -> None:
        path = f"/files/{name.replace('/', '-')}-{version}.tgz"
        self.archives[path] = archive
        dist = {"tarball": f"{self.url}{path}", "integrity": integrity or f"sha512-{sha512(archive)}"}
        self.documents[f"/{quote(name, safe='@')}/{version}"] = {"name": name, "dist": dist}


@contextmanager
def registry() -> Iterator[Registry]:
    """A registry of its own, on this machine."""
    found = Registry()

    class Handler(Quiet):
        def do_GET(self) -> None:  # noqa: N802 - the name that the server calls
            found.asked.append(self.path)
            content = found.archives.get(self.path)
            if content is None and self.path in found.documents:
                content = json.dumps(found.documents[self.path]).encode()
            status = found.statuses.get(self.path, 404 if content is None else 200)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

    with site(Handler) as port:
        found.url = f"http://127.0.0.1:{port}"
        yield found
