"""`skillrunner attest`: what a run states about its work, and whether that is true."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import Options, json_option, scope_of, settings
from runner.apps.terminal import say, say_json
from runner.core.errors import ExitCode, RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import parse_json

if TYPE_CHECKING:
    from runner.publish.attestation.envelope import Envelope
    from runner.publish.attestation.statement import Statement
    from runner.publish.attestation.verify import Evidence, Finding

FILE = "attestation.json"
_ISSUER = "https://token.actions.githubusercontent.com"


@click.group()
def command() -> None:
    """Show and verify what runs state about what they published, and print the key that signs it."""


@command.command()
@json_option
@click.pass_obj
def key(options: Options, as_json: bool) -> None:
    """Print the public key of this machine, which is made where there is none."""
    from runner.core.private_folder import make_private
    from runner.publish.attestation import local_key
    from runner.publish.attestation.envelope import public_key_of

    state = settings(options).state
    make_private(state)
    pem = local_key.public_key(state)
    if as_json:
        say_json({"id": public_key_of(pem).keyid, "public_key": pem.decode()})
    else:
        say(pem.decode().rstrip("\n"))


@command.command()
@click.argument("run", default="latest")
@json_option
@click.pass_obj
def show(options: Options, run: str, as_json: bool) -> None:
    """Show what RUN states, without a look at the signature: an id, the beginning of one, or `latest`.

    RUN may be a file as well.
    """
    from runner.publish.attestation.verify import Finding, read_statement

    found = _found(options, run)
    stated = read_statement(found.envelope)
    if isinstance(stated, Finding):
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, stated.message, hint=_verify_hint(run))
    if as_json:
        say_json(parse_json(found.envelope.payload))
        return
    for line in _lines(stated):
        say(line)


@command.command()
@click.argument("target", default="latest")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with the public key; one of several may have signed.  [default: the key of this machine]",
)
@click.option(
    "--patch",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The patch that it should be about.  [default: the run's]",
)
@click.option("--commit", default="", help="The commit that it should be about, whole.")
@click.option("--identity", default="", help="Who should have signed by sigstore: the URL of a workflow.")
@click.option("--issuer", default=_ISSUER, show_default=True, help="Who vouches for the identity.")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    target: str,
    keys: tuple[Path, ...],
    patch: Path | None,
    commit: str,
    identity: str,
    issuer: str,
    as_json: bool,
) -> None:
    """Verify an attestation: TARGET is a file, or a run. Exits with 1 where anything is not as stated."""
    options: Options = context.obj
    found = _found(options, target)
    if patch is not None:
        found = replace(found, evidence=replace(found.evidence, patch=patch.read_bytes()))
    signed = (
        _sigstore_finding(found, identity, issuer)
        if found.envelope.bundle
        else _key_finding(found.envelope, _public_keys(options, keys))
    )
    findings = [signed, *_findings(options, found, commit)]
    is_good = signed.ok is True and all(one.ok is not False for one in findings)
    _tell(findings, is_good, as_json)
    if not is_good:
        context.exit(ExitCode.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    raw: bytes
    envelope: "Envelope"
    evidence: "Evidence"


def _found(options: Options, target: str) -> _Found:
    """The attestation in a file, or that of a run with the run's own files. Raises RunnerError."""
    from runner.publish.attestation.envelope import MAX_BYTES, read_envelope
    from runner.publish.attestation.verify import Evidence

    path = Path(target)
    files: Mapping[str, bytes] = {}
    if path.is_file():
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES)
    else:
        files = _run_files(options, target)
        raw = files[FILE]
    evidence = Evidence(patch=files.get("patch"), prompt=files.get("prompt.md"))
    return _Found(raw=raw, envelope=read_envelope(raw), evidence=evidence)


def _run_files(options: Options, run: str) -> Mapping[str, bytes]:
    from runner.run import stores

    with stores.open_store(settings(options)) as runs:
        found = runs.run(run, scope_of(options))
        paths = {one.name: Path(one.path) for one in runs.artifacts(found.id)}
    files = {
        name: paths[name].read_bytes()
        for name in (FILE, "patch", "prompt.md")
        if name in paths and paths[name].is_file()
    }
    if FILE not in files:
        message = f"the run {found.id} has no {FILE}: it published nothing, or it was not attested"
        hint = f"skillrunner show {found.id} says which"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
    return files


def _public_keys(options: Options, files: Sequence[Path]) -> Sequence[tuple[str, bytes]]:
    """(whose it is, the key) of each; without files that of this machine. Raises RunnerError."""
    if files:
        return [(f"the key in {path}", path.read_bytes()) for path in files]
    from runner.publish.attestation import local_key

    state = settings(options).state
    if not (state / local_key.NAME).exists():
        message = f"there is no key in {state} to verify it with"
        hint = "--key FILE names one; the machine that signed prints it: skillrunner attest key"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
    return [("the key of this machine", local_key.public_key(state))]


def _key_finding(envelope: "Envelope", keys: Sequence[tuple[str, bytes]]) -> "Finding":
    from runner.publish.attestation.verify import signature_finding

    found = [signature_finding(envelope, pem, whose) for whose, pem in keys]
    return next((one for one in found if one.ok), found[0])


def _sigstore_finding(found: _Found, identity: str, issuer: str) -> "Finding":
    from runner.clients.sigstore import Sigstore
    from runner.publish.attestation.verify import Finding

    if not identity:
        message = "it is signed by sigstore: say who should have signed"
        hint = "--identity https://github.com/OWNER/NAME/.github/workflows/skillrunner.yml@refs/heads/main"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
    try:
        payload = Sigstore().verify(found.raw, identity, issuer)
    except RunnerError as error:
        if error.reason is Reason.INVALID_CONFIG:
            raise
        return Finding(check="signature", ok=False, message=error.message)
    same = payload == found.envelope.payload
    return Finding(check="signature", ok=same, message=f"signed by {identity}, as {issuer} says")


def _findings(options: Options, found: _Found, commit: str) -> "Iterator[Finding]":
    from runner.publish.attestation.verify import Finding, commit_of, findings, read_statement

    stated = read_statement(found.envelope)
    if isinstance(stated, Finding):
        yield stated
        return
    message = _message(options, commit_of(stated))
    yield from findings(stated, replace(found.evidence, message=message, commit=commit))


def _message(options: Options, commit: str) -> str | None:
    """The message of a commit, where it is in the repository or in its origin; None: it is not."""
    from runner.clients.git import Git
    from runner.clients.git.local import find_root, origin_of

    root = find_root(options.root) if commit else None
    if root is None:
        return None
    origin = Path(origin_of(root).removeprefix("file://") or root)
    for folder in dict.fromkeys((root, origin if origin.is_absolute() else root / origin)):
        if folder.is_dir():
            done = Git(folder).run("log", "-1", "--format=%B", commit, "--", ok=(0, 128))
            if done.code == 0:
                return done.stdout.decode(errors="replace")
    return None


def _tell(findings: "Sequence[Finding]", is_good: bool, as_json: bool) -> None:
    from runner.apps.console import one_line

    if as_json:
        say_json({"verified": is_good, "findings": [asdict(one) for one in findings]})
        return
    for one in findings:
        level = {True: "ok", False: "FAIL", None: "?"}[one.ok]
        say(f"{level:<4}  {one.check:<9}  {one_line(one.message, 400)}")
    say("verified" if is_good else "NOT verified")


def _lines(stated: "Statement") -> Iterator[str]:
    """A statement for people."""
    from runner.apps.console import one_line

    work = stated.predicate.work
    for name, text in (
        *(("about", f"{one.name} {one.digest.gitCommit or one.digest.sha256}") for one in stated.subject),
        ("run", f"{work.run.id}, attempt {work.run.attempt}, by skillrunner {work.run.runner}"),
        ("cause", f"{work.run.cause.kind} {work.run.cause.subject} {work.run.cause.actor or ''}".rstrip()),
        ("base", f"{work.run.base_ref} at {work.run.base_sha} of {work.run.repository}"),
        ("skill", f"{work.skill.name} at {work.skill.commit or 'no commit'}, sha256:{work.skill.sha256}"),
        ("prompt", f"sha256:{work.prompt.sha256}"),
        ("image", work.environment.image_digest or work.environment.image or "none"),
        ("harness", f"{work.harness.kind} {work.harness.version or ''}".rstrip()),
        ("model", ", ".join(work.harness.answered) or work.harness.model or "none"),
        ("hosts", ", ".join(work.gateway.hosts) or "none but the model's"),
        ("patch", f"sha256:{work.change.patch_sha256}, {work.change.files} files"),
        *(("checked", f"{one.command} (exit {one.exit})") for one in work.verification),
        *(("refused", f"[{one.rule}] {one.subject} {one.message}") for one in work.refused.policy),
        *(("refused", f"attempt {one.attempt}: {one.message}") for one in work.refused.attempts),
        *(("refused", f"{one.host}: {one.reason} ({one.times})") for one in work.refused.network),
        *(("approved", f"by {one.by} at {one.at}: {one.why}") for one in work.approvals),
        ("cost", f"${work.cost.usd}" if work.cost.usd else "unknown"),
        *(("published", f"{one.kind} {one.action}: {one.url}") for one in stated.predicate.published),
        ("work", f"sha256:{stated.predicate.work_sha256}"),
    ):
        yield f"{name:<11} {one_line(text, 400)}"


def _verify_hint(run: str) -> str:
    return f"skillrunner attest verify {run}"
