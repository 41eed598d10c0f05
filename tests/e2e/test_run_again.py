"""`run --from-run`: what a worker's run did, once more here and now, with its event and on its commit."""

from pathlib import Path

from tests.parts.cli import Done
from tests.parts.workers import Team

NONE = "{{none: {{}}}}"
PULL_REQUEST = '{{pull_request: {{title: "docs: {name}", paths: ["docs/**"], key: again}}}}'
NOTE = "cp README.md docs/seen.md; cat >> docs/seen.md"


def run(team: Team, *argv: str, at: Path | None = None) -> Done:
    team.project.variables["SKILLRUNNER_SANDBOX"] = "process"
    return team.skillrunner("run", *argv, at=at or team.project.root)


def seen(team: Team, name: str) -> str:
    return team.project.git("show", f"skillrunner/{name}/again:docs/seen.md", cwd=team.project.origin)


def test_a_run_is_done_again_with_its_event_and_on_its_commit(team: Team) -> None:
    prompt = "---\nname: docs\ndescription: d\n---\n\nDue: {{ event.schedule.due }}\n"
    team.commit("docs", "touch docs/begun; exit 1", output=PULL_REQUEST)
    team.project.write({"skills/docs/SKILL.md": prompt})
    team.push("prompt")
    worker = team.start()
    team.until(lambda: team.are_ended())
    worker.kill()
    (first,) = team.runs()
    team.project.commit({"README.md": "# Later\n"})
    failed = run(team, "--from-run", first.id)
    assert failed.code == 1, failed.err
    team.commit("docs", NOTE, output=PULL_REQUEST)
    team.project.write({"skills/docs/SKILL.md": prompt})
    done = run(team, "docs", "--from-run", first.id)
    assert done.code == 0, done.err
    assert seen(team, "docs").startswith("# Demo")
    assert "Due: " in seen(team, "docs")
    again = team.runs()[0]
    assert (again.trigger, again.trigger_key, again.base_sha) == (
        "schedule",
        first.trigger_key,
        first.base_sha,
    )
    shown = run(team, "docs", "--from-run", first.id, "--dry-run")
    assert shown.code == 0, shown.err
    assert first.base_sha[:12] in shown.out


def test_what_cannot_be_done_again_says_why(team: Team) -> None:
    team.commit("docs", "true", on="{manual: {}}", output=NONE)
    assert run(team, "docs").code == 0
    assert run(team, "docs", "--from-run", "latest").code == 0
    assert run(team, "docs", "--from-run", "nobody").code == 3
    assert run(team).code == 2
    both = run(team, "docs", "--from-run", "latest", "--input", "a=b", "--base", "main")
    assert both.code == 2
    assert "--from-run gives what --input, --base would" in both.err
