"""`skillrunner attest`: what a person sees and verifies of a run, of a file, and of what somebody altered."""

import base64
import hashlib
import json
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from runner.publish.attestation.envelope import seal
from runner.publish.attestation.statement import PAYLOAD_TYPE
from tests.parts.cli import Project, skill_files

YAML = """
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "cat > docs/new.md"]}
verify: ["test -s docs/new.md"]
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("touch", YAML))
    ran = project.skillrunner("run", "touch")
    assert ran.code == 0, ran
    return project


def file_of(shop: Project) -> Path:
    (found,) = shop.state.glob("runs/*/attestation.json")
    return found


def altered(shop: Project, change: Any) -> str:
    """A copy whose payload somebody has changed."""
    envelope = json.loads(file_of(shop).read_bytes())
    data = json.loads(base64.b64decode(envelope["payload"]))
    change(data)
    envelope["payload"] = base64.b64encode(json.dumps(data).encode()).decode()
    (shop.home / "altered.json").write_text(json.dumps(envelope))
    return str(shop.home / "altered.json")


def test_a_run_is_verified_with_nothing_said(shop: Project) -> None:
    found = shop.skillrunner("attest", "verify")
    assert (found.code, found.err) == (0, "")
    lines = [line.split()[:2] for line in found.out.splitlines()]
    assert lines == [
        *(
            ["ok", name]
            for name in ("signature", "predicate", "work", "patch", "subject", "prompt", "commit")
        ),
        ["verified"],
    ]
    told = shop.skillrunner("attest", "verify", "latest", "--json").json()
    assert told["verified"] is True
    assert {one["check"] for one in told["findings"]} >= {"signature", "commit"}


def test_it_is_shown_for_people_and_programs(shop: Project) -> None:
    shown = shop.skillrunner("attest", "show").out
    commit = shop.git("rev-parse", "skillrunner/touch/default", cwd=shop.origin)
    for words in (
        "harness     command",
        "checked     test -s docs/new.md (exit 0)",
        commit,
        "hosts       none but",
    ):
        assert words in shown, shown
    data = shop.skillrunner("attest", "show", "--json").json()
    assert data["predicateType"] == "urn:skillrunner:attestation:run:v1"
    assert {"name": "origin@skillrunner/touch/default", "digest": {"gitCommit": commit}} in data["subject"]
    assert shop.skillrunner("attest", "show", str(file_of(shop))).out == shown


def test_the_commit_leads_to_the_statement(shop: Project) -> None:
    message = shop.git("log", "-1", "--format=%B", "skillrunner/touch/default", cwd=shop.origin)
    work = shop.skillrunner("attest", "show", "--json").json()["predicate"]["work_sha256"]
    assert f"\nSkillrunner-Attestation: sha256:{work}" in message


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq computes the digest as docs/attestation.md says")
def test_the_digest_of_the_work_is_computed_by_other_programs(shop: Project) -> None:
    data = shop.skillrunner("attest", "show", "--json")
    (shop.home / "shown.json").write_text(data.out)
    asked = ["jq", "-cSj", ".predicate.work", str(shop.home / "shown.json")]
    written = subprocess.run(asked, check=True, capture_output=True).stdout
    assert hashlib.sha256(written).hexdigest() == data.json()["predicate"]["work_sha256"]


def test_a_file_is_verified_by_a_key_elsewhere(shop: Project) -> None:
    """As somebody does who has the file, the key and the repository, and not our machine."""
    key = shop.skillrunner("attest", "key")
    assert key.out.startswith("-----BEGIN PUBLIC KEY-----\n")
    (shop.home / "key.pem").write_text(key.out)
    (shop.home / "other.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    elsewhere = {"SKILLRUNNER_STATE_DIR": str(shop.home / "elsewhere")}
    shop.variables.update(elsewhere)
    found = shop.skillrunner("attest", "verify", str(file_of(shop)), "--key", str(shop.home / "key.pem"))
    assert found.code == 0, found
    assert f"signed by the key in {shop.home / 'key.pem'}" in found.out
    assert "?     patch      no patch to compare it with" in found.out
    refused = shop.skillrunner("attest", "verify", str(file_of(shop)))
    assert (refused.code, "there is no key in" in refused.err, "--key FILE" in refused.err) == (3, True, True)
    assert not (shop.home / "elsewhere" / "attestation.key").exists()


def test_one_of_several_keys_is_enough(shop: Project) -> None:
    (shop.home / "key.pem").write_text(shop.skillrunner("attest", "key").out)
    other = str(CryptoSigner.generate_ecdsa().public_key.keyval["public"])
    (shop.home / "other.pem").write_text(other)
    both = ("--key", str(shop.home / "other.pem"), "--key", str(shop.home / "key.pem"))
    assert shop.skillrunner("attest", "verify", *both).code == 0
    found = shop.skillrunner("attest", "verify", *both[:2])
    assert found.code == 1
    assert "FAIL  signature  not signed by the key in" in found.out
    assert found.out.endswith("NOT verified\n")


def test_an_altered_payload_fails(shop: Project) -> None:
    def hide(data: Any) -> None:
        data["predicate"]["work"]["verification"][0]["exit"] = 7

    found = shop.skillrunner("attest", "verify", altered(shop, hide))
    assert found.code == 1
    assert "FAIL  signature  it is not what the key of this machine signed" in found.out
    assert "FAIL  work" in found.out


def test_a_missing_signature_fails(shop: Project) -> None:
    envelope = json.loads(file_of(shop).read_bytes()) | {"signatures": []}
    (shop.home / "bare.json").write_text(json.dumps(envelope))
    found = shop.skillrunner("attest", "verify", str(shop.home / "bare.json"))
    assert (found.code, "FAIL  signature  it is not signed" in found.out) == (1, True)


def test_another_predicate_fails_though_the_key_signed_it(shop: Project) -> None:
    from runner.publish.attestation import local_key

    payload = {"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "https://slsa.dev"}
    made = seal(json.dumps(payload).encode(), PAYLOAD_TYPE, local_key.signer(shop.state))
    (shop.home / "slsa.json").write_bytes(made)
    found = shop.skillrunner("attest", "verify", str(shop.home / "slsa.json"))
    assert found.code == 1
    assert "ok    signature" in found.out
    assert "FAIL  predicate  the predicate type is https://slsa.dev, not urn:skillrunner" in found.out
    shown = shop.skillrunner("attest", "show", str(shop.home / "slsa.json"))
    assert (shown.code, "attest verify" in shown.err) == (3, True)


def test_another_patch_fails(shop: Project) -> None:
    (patch,) = shop.state.glob("runs/*/patch")
    (shop.home / "patch").write_bytes(patch.read_bytes() + b"\n")
    found = shop.skillrunner("attest", "verify", "--patch", str(shop.home / "patch"))
    assert (found.code, "FAIL  patch      another patch" in found.out) == (1, True)
    patch.write_bytes(b"other")
    assert shop.skillrunner("attest", "verify").code == 1


def test_another_commit_fails(shop: Project) -> None:
    found = shop.skillrunner("attest", "verify", "--commit", shop.git("rev-parse", "HEAD"))
    assert (found.code, "FAIL  commit     it attests" in found.out) == (1, True)


def test_a_bundle_of_sigstore_asks_who_should_have_signed(shop: Project) -> None:
    bundle = {"mediaType": "x", "dsseEnvelope": json.loads(file_of(shop).read_bytes())}
    (shop.home / "bundle.json").write_text(json.dumps(bundle))
    asked = shop.skillrunner("attest", "verify", str(shop.home / "bundle.json"))
    assert (asked.code, "--identity https://github.com/" in asked.err) == (3, True)


def test_what_is_not_there_is_told(shop: Project) -> None:
    assert "there is no run 'nothing'" in shop.skillrunner("attest", "show", "nothing").err
    shop.write({"skillrunner.yaml": "attestation: {signer: none}\n"})
    shop.skillrunner("run", "touch", "--input", "x=1")
    shop.commit(skill_files("touch", YAML.replace("cat >", "date >")))
    assert shop.skillrunner("run", "touch").code == 0
    found = shop.skillrunner("attest", "show")
    assert (found.code, "has no attestation.json" in found.err) == (3, True)


def test_the_key_is_kept_for_its_owner(project: Project) -> None:
    first = project.skillrunner("attest", "key", "--json").json()
    path = project.state / "attestation.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(project.state.stat().st_mode) == 0o700
    assert project.skillrunner("attest", "key", "--json").json() == first
    assert "PRIVATE" not in json.dumps(first)
