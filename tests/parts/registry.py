"""A registry with one image, for engines of this machine: they talk plain HTTP to loopback addresses.

It speaks as much of the OCI distribution specification as a pull needs.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_GZIP = b"\x1f\x8b"
_UNKNOWN = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
_LIMITED = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "too many pulls"}]}'
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _layer() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("hello")
        content = os.urandom(16)  # no other test run has this image, and none removes it
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _image() -> tuple[bytes, dict[str, bytes]]:
    """A manifest, and the blobs that it names."""
    layer = _layer()
    packed = gzip.compress(layer, mtime=0)
    described = {
        "architecture": _MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    config = json.dumps(described).encode()
    blobs = {_digest(blob): blob for blob in (packed, config)}
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _entry("application/vnd.docker.container.image.v1+json", config),
        "layers": [_entry("application/vnd.docker.image.rootfs.diff.tar.gzip", packed)],
    }
    return json.dumps(manifest).encode(), blobs


def _entry(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(data), "digest": _digest(data)}


class _Handler(BaseHTTPRequestHandler):
    manifest: bytes
    blobs: dict[str, bytes]
    ending: Event

    def do_GET(self) -> None:
        _, _, last = self.path.rpartition("/")
        if "/limited/" in self.path:
            self._answer(429, _LIMITED, "application/json")
        elif "/slow/" in self.path and self.blobs.get(last, b"")[:2] == _GZIP:
            self._slowly(self.blobs[last])
        elif "/manifests/" in self.path and "/no/" not in self.path:
            self._answer(200, self.manifest, _MANIFEST)
        elif last in self.blobs and not ("/broken/" in self.path and self.blobs[last][:2] == _GZIP):
            self._answer(200, self.blobs[last], "application/octet-stream")
        else:
            self._answer(200 if self.path == "/v2/" else 404, _UNKNOWN, "application/json")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", _digest(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _slowly(self, body: bytes) -> None:
        """A part, and the rest not before the registry ends."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:10])
        self.ending.wait()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def registry() -> Iterator[tuple[str, str]]:
    """The registry's address, and its image's digest. It is known by any name.

    But for some: in `no/...` there is no image, one in `broken/...` lacks its layer, of one in `slow/...` the
    layer never ends, and for one in `limited/...` too many have asked.
    """
    manifest, blobs = _image()
    handler: Any = type("Handler", (_Handler,), {"manifest": manifest, "blobs": blobs, "ending": Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        try:
            yield f"127.0.0.1:{server.server_port}", _digest(manifest)
        finally:
            handler.ending.set()
            server.shutdown()
