"""What an agent declares in a whole run: published in order, kept with the run, or refused."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runner.publish.outputs.notify import headers
from runner.store import LocalItems, Store
from tests.parts.cli import Done, Project, skill_files
from tests.parts.listener import Listener

YAML = """
description: Look at the docs
on: {{manual: {{}}}}
harness: {{kind: command, command: [sh, -c, {script}]}}
output: {output}
"""


def run(project: Project, output: str, *declared: dict[str, Any], script: str = "", code: int = 0) -> Done:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    lines = "".join(f"{json.dumps(one)}\n" for one in declared)
    script = f"cat > $SKILLRUNNER_OUTPUTS <<'EOF'\n{lines}EOF\n{script}"
    yaml = YAML.format(script=json.dumps(script), output=output)
    project.commit(skill_files("look", yaml))
    done = project.skillrunner("run", "look")
    assert done.code == code, done
    return done


def record(project: Project) -> dict[str, Any]:
    told: dict[str, Any] = project.skillrunner("show", "--json").json()
    return told


def receipts(project: Project) -> list[tuple[str, str]]:
    return [(one["kind"], one["action"]) for one in record(project)["receipts"]]


def file_of(project: Project, name: str) -> str:
    (found,) = project.state.glob(f"runs/*/{name}")
    return found.read_text()


ISSUE = {"kind": "issue", "id": "plan", "title": "A plan", "body": "Do it. @everyone fixes #1"}
COMMENT = {"kind": "comment", "number": "#id:plan", "body": "See #id:pull_request and #id:plan."}
ALL = '{pull_request: {title: t, paths: ["docs/**"]}, issue: {}, comment: {target: any}}'


def test_items_name_each_other_and_the_pull_request_of_their_run(project: Project) -> None:
    run(project, ALL, COMMENT, ISSUE, script="echo z >> docs/guide.md")
    told = {one["kind"]: one for one in record(project)["receipts"]}
    pull, issue = told["pull_request"]["number"], told["issue"]["number"]
    assert sorted((pull, issue)) == [1, 2]
    assert told["comment"]["number"] == issue


def test_every_fault_of_what_was_declared_is_told_and_nothing_is_published(project: Project) -> None:
    bad = {"kind": "comment", "body": "See #id:nothing.", "number": 7}
    run(project, "{issue: {}, comment: {}}", ISSUE, ISSUE, bad, {"kind": "labels"}, code=4)
    told = [one["message"] for one in record(project)["refusals"]]
    assert told == [
        "declares the output 'labels', and the skill names comment, issue",
        "declares 2 of issue, and the skill allows 1 (`max`)",
        "declares comment, which names #7, and the skill may only touch what the run is about: none",
        "declares comment, which names `#id:nothing`, and nothing of this run has that id",
        "gives the id 'plan' to several outputs",
    ]
    assert receipts(project) == []


def test_what_is_staged_or_too_uncertain_is_shown_and_not_published(project: Project) -> None:
    unsure = {**ISSUE, "confidence": "low"}
    staged = {"kind": "comment", "number": 1, "body": "Not yet."}
    run(project, "{issue: {min_confidence: medium}, comment: {target: any, staged: true}}", unsure, staged)
    assert sorted(receipts(project)) == [("comment", "staged"), ("issue", "suggested")]
    shown = [one["message"] for one in record(project)["events"]]
    assert any(one.startswith("staged: comment") and "Not yet." in one for one in shown)
    assert any(one.startswith("suggested: issue") for one in shown)


@pytest.mark.parametrize(
    ("kind", "state", "reason", "code"),
    [("noop", "nothing_to_do", "no_changes", 0), ("incomplete", "failed", "incomplete", 1)],
)
def test_a_conclusion_ends_the_run(project: Project, kind: str, state: str, reason: str, code: int) -> None:
    run(project, "{issue: {}}", {"kind": kind, "reason": "The tag is there already."}, code=code)
    told = record(project)
    assert (told["state"], told["end"]["reason"]) == (state, reason)
    assert "The tag is there already." in told["end"]["message"]


SCHEMA = (
    "{type: object, required: [count], properties: {count: {type: integer}}, additionalProperties: false}"
)


def test_a_report_fits_the_schema_of_its_skill(project: Project) -> None:
    output = f"{{report: {{format: json, json_schema: {SCHEMA}}}}}"
    run(project, output, {"kind": "report", "title": "Flags", "content": {"count": 3}})
    assert json.loads(file_of(project, "report.json")) == {"count": 3}
    bad = {"kind": "report", "title": "Flags", "content": {"count": "3", "more": 1}}
    run(project, output, bad, code=4)
    (extra, wrong) = [one["message"] for one in record(project)["refusals"]]
    assert "`content/`: Additional properties are not allowed ('more' was unexpected)" in extra
    assert "`content/count`: '3' is not of type 'integer'" in wrong


def test_a_schema_that_is_none_is_a_fault_of_the_skill(project: Project) -> None:
    files = YAML.format(script="x", output="{report: {format: json, json_schema: {type: strange}}}")
    project.commit(skill_files("look", files))
    done = project.skillrunner("validate")
    assert done.code == 3
    assert "is no JSON Schema: at type: 'strange' is not valid" in done.out + done.err


def test_a_report_of_html_runs_nothing(project: Project) -> None:
    content = "<script>alert(1)</script><p>Hello</p>"
    run(project, "{report: {format: html}}", {"kind": "report", "title": "T", "content": content})
    assert "default-src 'none'" in file_of(project, "report.html").partition("<script>")[0]


def test_a_file_is_kept_with_the_run_and_is_in_no_patch(project: Project) -> None:
    declared = {"kind": "artifact", "path": "charts/a.csv"}
    script = "mkdir $SKILLRUNNER_ARTIFACTS/charts && echo 1,2 > $SKILLRUNNER_ARTIFACTS/charts/a.csv"
    run(project, "{artifact: {}}", declared, script=script)
    assert file_of(project, "files-charts-a.csv") == "1,2\n"
    assert project.skillrunner("diff").out == ""


@pytest.mark.parametrize(
    "script", ["", "ln -s /etc/passwd $SKILLRUNNER_ARTIFACTS/a", "mkfifo $SKILLRUNNER_ARTIFACTS/a"]
)
def test_a_file_that_is_not_there_is_told(project: Project, script: str) -> None:
    run(project, "{artifact: {}}", {"kind": "artifact", "path": "a"}, script=script, code=1)
    assert "the agent left no file a in SKILLRUNNER_ARTIFACTS" in record(project)["end"]["message"]


def test_a_secret_in_a_kept_file_is_refused(project: Project) -> None:
    project.variables["TOKEN"] = "s3cr3t-value-1234567890"
    files = YAML.format(script='"x"', output="{artifact: {}}") + "environment: {secrets: [TOKEN]}\n"
    declared = """echo '{"kind": "artifact", "path": "a"}' > $SKILLRUNNER_OUTPUTS"""
    script = f"{declared}; echo $TOKEN > $SKILLRUNNER_ARTIFACTS/a"
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("look", files.replace('"x"', json.dumps(script))))
    assert project.skillrunner("run", "look").code == 4
    (refusal,) = record(project)["refusals"]
    assert (refusal["rule"], refusal["subject"]) == ("secret", "artifact a")
    assert not list(project.state.glob("runs/*/files-*"))


MESSAGE = {"kind": "notify", "title": "Release <!channel>", "text": "It is out & well."}


def test_a_message_to_a_webhook_is_signed(project: Project, listener: Listener) -> None:
    project.variables.update(HOOK=listener.url, KEY="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    run(project, "{notify: {to: {webhook: HOOK, signing_key: KEY}}}", MESSAGE)
    (heard,) = listener.heard
    assert heard["data"]["text"] == "It is out & well."
    assert receipts(project) == [("notify", "created")]


def test_a_signature_is_the_one_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', key)
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_to_slack_calls_nobody(project: Project, listener: Listener) -> None:
    project.variables["ROOM"] = listener.url
    run(project, "{notify: {to: {slack: ROOM}}}", MESSAGE)
    (heard,) = listener.heard
    assert "<" not in heard["text"]
    assert "It is out &amp; well." in heard["text"]
    assert listener.url not in json.dumps(record(project))


def test_a_missing_secret_of_an_output_ends_the_run_before_its_agent(project: Project) -> None:
    done = run(project, "{notify: {to: {slack: ROOM}}}", MESSAGE, code=3)
    assert "needs ROOM, and the environment does not hold it" in done.out + done.err


class _Mail(socketserver.StreamRequestHandler):
    got: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            command = line.decode().strip().upper()
            if command == "DATA":
                self.wfile.write(b"354 go on\r\n")
                self.got.extend(text.decode().rstrip("\r\n") for text in iter(self.rfile.readline, b".\r\n"))
            self.wfile.write(b"221 bye\r\n" if command == "QUIT" else b"250 fine\r\n")
            if command == "QUIT":
                return


@contextmanager
def mail_server() -> Iterator[tuple[str, list[str]]]:
    """A server that takes any mail; there is none in the libraries of the tests."""
    got: list[str] = []
    handler = type("Handler", (_Mail,), {"got": got})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"smtp://127.0.0.1:{server.server_address[1]}", got
        server.shutdown()


def test_a_message_by_mail_says_whose_it_is(project: Project) -> None:
    with mail_server() as (url, got):
        project.variables["MAIL"] = url
        to = "{email: {smtp: MAIL, sender: bot@example.com, to: [team@example.com]}}"
        run(project, f"{{notify: {{to: {to}}}}}", {**MESSAGE, "title": "Release\nBcc: eve@example.com"})
    assert "To: team@example.com" in got
    assert not any(line.startswith("Bcc:") for line in got)
    assert any("skill look" in line for line in got)


REFUSED = '{pull_request: {title: t, paths: ["docs/**"], on_refused: HOW}}'
BOTH = "echo z >> docs/guide.md; echo y > other.txt"


def test_what_the_policy_refuses_is_left_out_and_named(project: Project) -> None:
    run(project, REFUSED.replace("HOW", "leave_out"), script=BOTH)
    assert receipts(project) == [("pull_request", "created")]
    names = project.git("ls-tree", "-r", "--name-only", "skillrunner/look/default", cwd=project.origin)
    assert "other.txt" not in names
    shown = project.skillrunner("pr", "show", "1").out
    assert "`other.txt: is outside the paths this skill may change: docs/**`" in shown
    assert any(one["message"].startswith("left out: other.txt") for one in record(project)["events"])


def test_where_all_is_refused_nothing_is_left_out(project: Project) -> None:
    run(project, REFUSED.replace("HOW", "leave_out"), script="echo y > other.txt", code=4)
    assert receipts(project) == []


def test_a_secret_is_never_left_out(project: Project) -> None:
    project.variables["TOKEN"] = "s3cr3t-value-1234567890"
    yaml = YAML.format(
        script=json.dumps(f"{BOTH}; echo $TOKEN > docs/key"), output=REFUSED.replace("HOW", "leave_out")
    )
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("look", yaml + "environment: {secrets: [TOKEN]}\n"))
    assert project.skillrunner("run", "look").code == 4
    assert receipts(project) == []


def test_an_issue_holds_the_refused_patch(project: Project) -> None:
    done = run(project, REFUSED.replace("HOW", "issue"), script=BOTH, code=4)
    assert "the patch is in local:#1" in done.out
    store = Store(project.state)
    (issue,) = LocalItems(store.engine, store.database, str(project.origin)).find("issue")
    store.close()
    assert "+y" in issue.data["body"]
    assert "`other.txt` is outside the paths" in issue.data["body"]
