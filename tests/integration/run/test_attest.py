"""What a run states about what it publishes: the commit leads to the statement, and the statement to it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Check, Environment, OutputSpec, Phase, Reason, RunState
from runner.publish.attestation import local_key
from runner.publish.attestation.envelope import read_envelope
from runner.publish.attestation.signers import KeySigner
from runner.publish.attestation.statement import Statement
from runner.publish.attestation.verify import (
    Evidence,
    Finding,
    commit_of,
    findings,
    read_statement,
    signature_finding,
    trailers_in,
)
from runner.publish.forges.local import LocalForge
from runner.publish.outputs import OUTPUTS
from runner.run import execute
from runner.run.stages.attest import FILE
from runner.sandboxes import SANDBOXES
from tests.integration.run.test_execute import Scene, scene  # noqa: F401 - a fixture

WRITE = ("write:docs/a.md:hello", "print:done")


def attestation(scene: Scene, run_id: str) -> tuple[bytes, Statement]:  # noqa: F811
    (path,) = (Path(one.path) for one in scene.store.artifacts(run_id) if one.name == FILE)
    found = read_statement(read_envelope(path.read_bytes()))
    assert not isinstance(found, Finding), found
    return path.read_bytes(), found


def artifact(scene: Scene, run_id: str, name: str) -> bytes:  # noqa: F811
    (path,) = (Path(one.path) for one in scene.store.artifacts(run_id) if one.name == name)
    return path.read_bytes()


def message(scene: Scene, commit: str) -> str:  # noqa: F811
    return scene.project.git("log", "-1", "--format=%B", commit, cwd=scene.project.origin)


def test_a_run_attests_what_it_published(scene: Scene) -> None:  # noqa: F811
    scene.secrets["TOKEN"] = "sesame-sesame"
    signer = KeySigner(scene.project.state)
    spec = scene.spec("sh", "-c", "echo hello > docs/a.md", verify=("echo sesame-sesame", "true"))
    environment = Environment(sandbox="process", image="", secrets=("TOKEN",), network=("pypi",))
    spec = replace(spec, environment=replace(environment, setup=("true",)))
    run_id, end = scene.run(spec, statement_signer=signer, sandbox=SANDBOXES.get("process"))
    assert end.state is RunState.SUCCEEDED, end
    raw, stated = attestation(scene, run_id)
    (receipt,) = scene.store.receipts(run_id)
    assert commit_of(stated) == receipt.sha
    assert trailers_in(message(scene, receipt.sha)) == [stated.predicate.work_sha256]
    evidence = Evidence(
        patch=artifact(scene, run_id, "patch"), prompt=b"Do it.", message=message(scene, receipt.sha)
    )
    assert [one.ok for one in findings(stated, evidence)] == [True] * 6
    key = local_key.public_key(scene.project.state)
    assert signature_finding(read_envelope(raw), key, "the key").ok
    work = stated.predicate.work
    assert (work.run.id, work.run.base_sha, work.run.attempt) == (run_id, spec.base_sha, 1)
    assert (work.skill.name, work.harness.kind, work.gateway.hosts) == ("s", "command", ("pypi",))
    assert [(one.command, one.exit, one.ok) for one in work.verification] == [
        ("echo ***", 0, True),
        ("true", 0, True),
    ]
    assert (work.environment.secrets, work.approvals, work.cost.usd) == (("TOKEN",), (), None)
    assert [one.url for one in stated.predicate.published] == [receipt.url]
    assert b"sesame" not in read_envelope(raw).payload


def test_earlier_attempts_and_refusals_are_told(scene: Scene) -> None:  # noqa: F811
    tried: list[int] = []

    class Flaky(type(OUTPUTS.get("pull_request"))):  # type: ignore[misc]
        def publish(self, offer: Any, forge: Any, changeset: Any) -> Any:
            tried.append(1)
            if len(tried) == 1:
                raise RunnerError(Phase.PUBLISH, Reason.CONFLICT, "it moved", retryable=True)
            return super().publish(offer, forge, changeset)

    spec = scene.spec(*WRITE)
    spec = replace(spec, limits=replace(spec.limits, attempts=2))
    run_id, end = scene.run(
        spec, statement_signer=KeySigner(scene.project.state), outputs={"pull_request": Flaky()}
    )
    assert end.state is RunState.SUCCEEDED, end
    work = attestation(scene, run_id)[1].predicate.work
    assert work.run.attempt == 2
    assert [(one.attempt, one.message) for one in work.refused.attempts] == [(1, "it moved")]


def test_what_an_earlier_attempt_has_pushed_is_attested_by_the_next(
    scene: Scene,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed between push and pull request: the commit that is out names the work that is attested."""
    create, told = LocalForge.create, list[str]()

    def away(forge: LocalForge, new: Any) -> Any:
        told.append(new.branch)
        if len(told) == 1:
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, "502", retryable=True)
        return create(forge, new)

    monkeypatch.setattr(LocalForge, "create", away)
    spec = scene.spec(*WRITE)
    spec = replace(spec, limits=replace(spec.limits, attempts=2))
    run_id, end = scene.run(spec, statement_signer=KeySigner(scene.project.state))
    assert end.state is RunState.SUCCEEDED, end
    stated = attestation(scene, run_id)[1]
    (receipt,) = scene.store.receipts(run_id)
    assert len(told) == 2
    assert commit_of(stated) == receipt.sha
    assert trailers_in(message(scene, receipt.sha)) == [stated.predicate.work_sha256]
    assert stated.predicate.work.run.attempt == 1


def test_a_commit_of_an_earlier_run_is_not_claimed(
    scene: Scene,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same change again: nothing is pushed, and what is there came from other work."""
    signer = KeySigner(scene.project.state)
    first, _ = scene.run(scene.spec(*WRITE), statement_signer=signer)
    failed = Check(command="make", exit_code=1, duration=0.1, output="", ok=False)
    monkeypatch.setattr(execute, "verify", lambda *_: (failed,))
    second, end = scene.run(scene.spec(*WRITE, draft_on_failed_verify=True), statement_signer=signer)
    assert end.state is RunState.SUCCEEDED, end
    (receipt,) = scene.store.receipts(second)
    assert receipt.sha == commit_of(attestation(scene, first)[1])
    stated = attestation(scene, second)[1]
    assert commit_of(stated) == ""
    assert [one.name for one in stated.subject] == ["patch"]


def test_where_nothing_signs_nothing_is_stated(scene: Scene) -> None:  # noqa: F811
    run_id, _ = scene.run(scene.spec(*WRITE))
    (receipt,) = scene.store.receipts(run_id)
    assert "Skillrunner-Attestation" not in message(scene, receipt.sha)
    assert not [one for one in scene.store.artifacts(run_id) if one.name.startswith("attestation")]


def test_what_cannot_be_signed_is_a_warning(scene: Scene) -> None:  # noqa: F811
    state = scene.project.state
    local_key.signer(state)
    (state / local_key.NAME).chmod(0o644)
    run_id, end = scene.run(scene.spec(*WRITE), statement_signer=KeySigner(state))
    assert end.state is RunState.SUCCEEDED
    warnings = [event.message for event in scene.events if event.is_warning]
    assert [one.partition(" the key ")[0] for one in warnings] == ["what it published is not attested:"]
    assert not [one for one in scene.store.artifacts(run_id) if one.name == FILE]


def test_a_run_that_publishes_nothing_attests_nothing(scene: Scene) -> None:  # noqa: F811
    run_id, end = scene.run(scene.spec("write:.github/x:x"), statement_signer=KeySigner(scene.project.state))
    assert end.reason is Reason.POLICY_REFUSED
    assert not [one for one in scene.store.artifacts(run_id) if one.name.startswith("attestation")]


def test_names_of_no_encoding_and_controls_are_spelled_out(scene: Scene) -> None:  # noqa: F811
    """Every text of the statement is UTF-8, and shows what it holds."""
    spec = scene.spec(*WRITE)
    trigger = replace(spec.trigger, actor="eve\u202e", subject="v1\udce5\x1b[0m")
    run_id, _ = scene.run(replace(spec, trigger=trigger), statement_signer=KeySigner(scene.project.state))
    cause = attestation(scene, run_id)[1].predicate.work.run.cause
    assert (cause.actor, cause.subject) == ("eve\\u{202e}", "v1\\xe5␛[0m")
    assert json.loads(read_envelope(attestation(scene, run_id)[0]).payload)["predicate"]


def test_an_answer_alone_is_attested_by_what_was_declared(scene: Scene) -> None:  # noqa: F811
    spec = scene.spec("print:all is well", outputs=(OutputSpec(kind="none"),))
    run_id, end = scene.run(
        spec, statement_signer=KeySigner(scene.project.state), outputs={"none": OUTPUTS.get("none")}
    )
    assert end.state is RunState.SUCCEEDED, end
    assert [one.name for one in attestation(scene, run_id)[1].subject] == ["declared"]
