"""Sigstore's own client against a stand-in for its certificate authority, which refuses.

No test reaches sigstore.dev. What is tried here is what we ask, and what becomes of a refusal; a certificate
and an entry in the log are never made.
"""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.x509 import load_pem_x509_csr
from sigstore.models import ClientTrustConfig

from runner.clients.sigstore import Sigstore
from runner.core.errors import RunnerError
from runner.core.model import Reason
from tests.parts.site import Quiet, site
from tests.unit.publish.test_attestation import payload, stated

asked: list[dict[str, Any]] = []


class Authority(Quiet):
    """A stand-in for Fulcio: it keeps what it is asked for, and gives no certificate."""

    def do_POST(self) -> None:  # noqa: N802 - the server's word
        size = int(self.headers["Content-Length"])
        authorization = self.headers["Authorization"]
        asked.append({"path": self.path, "authorization": authorization, **json.loads(self.rfile.read(size))})
        answer = json.dumps({"code": 16, "message": "no such identity"}).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sigstore]:
    """Sigstore's client with the keys that it ships, and the stand-in for its servers."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    asked.clear()
    with site(Authority) as port:
        trust = json.loads(ClientTrustConfig.production(offline=True)._inner.to_json())
        for kind in ("caUrls", "rekorTlogUrls"):
            trust["signingConfig"][kind][0]["url"] = f"http://127.0.0.1:{port}"
        trust["signingConfig"]["tsaUrls"] = []
        yield Sigstore(ClientTrustConfig.from_json(json.dumps(trust)))


def identity() -> str:
    now = int(time.time())
    claims = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sigstore",
        "sub": "repo:acme/docs",
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "job_workflow_ref": "acme/docs/.github/workflows/skillrunner.yml@refs/heads/main",
    }
    return jwt.encode(claims, "a key of no importance, long enough", algorithm="HS256")


def test_a_certificate_is_asked_for_with_the_jobs_token(here: Sigstore) -> None:
    token = identity()
    with pytest.raises(RunnerError) as caught:
        here.sign(payload(stated()), token)
    (one,) = asked
    assert one["path"] == "/api/v2/signingCert"
    assert token in json.dumps(one)
    assert load_pem_x509_csr(base64.b64decode(one["certificateSigningRequest"])).is_signature_valid
    assert caught.value.reason is Reason.FORGE_UNAVAILABLE
    assert caught.value.message.startswith("sigstore did not sign: ")
    assert token not in f"{caught.value.message}{caught.value.hint}"
    assert "signer: key" in caught.value.hint


@pytest.mark.parametrize("token", ["", "no.token.at-all", "x"])
def test_what_is_no_token_is_asked_of_nobody(here: Sigstore, token: str) -> None:
    with pytest.raises(RunnerError, match="sigstore did not sign"):
        here.sign(payload(stated()), token)
    assert asked == []


@pytest.mark.parametrize("bundle", [b"", b"{}", b'{"dsseEnvelope": {}}', b"no json"])
def test_what_is_no_bundle_is_signed_by_nobody(here: Sigstore, bundle: bytes) -> None:
    with pytest.raises(RunnerError, match=r"does not find it signed by https://github\.com/acme"):
        here.verify(bundle, "https://github.com/acme/docs", "https://token.actions.githubusercontent.com")
