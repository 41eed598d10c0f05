"""What is kept of an agent's session: plain files, masked, within limits, and found from elsewhere."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.redact import Redactor
from runner.harnesses import Sessions
from runner.harnesses.claude_code import ClaudeCode
from runner.harnesses.codex import Codex
from runner.harnesses.gemini import Gemini
from runner.run.agent import session

SECRET = "s3cr3t-value-1234567890"
SESSIONS = Sessions(folder=".agent/sessions", command=lambda known, _: ("agent", known))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exchange/home/.agent/sessions"
    made.mkdir(parents=True)
    return made


def collect(folder: Path) -> dict[str, bytes]:
    return session.collect_files(folder.parent.parent.parent, SESSIONS, Redactor([SECRET]))


def test_files_below_the_folder_are_kept_and_secrets_masked(folder: Path) -> None:
    (folder / "2026/11").mkdir(parents=True)
    (folder / "2026/11/one.jsonl").write_text(f'{{"said": "{SECRET}"}}\n')
    (folder.parent / "auth.json").write_text("not a session")
    assert collect(folder) == {".agent/sessions/2026/11/one.jsonl": b'{"said": "***"}\n'}


def test_links_and_pipes_are_left_out(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "id_rsa").write_text("private")
    (folder / "file").symlink_to(outside / "id_rsa")
    (folder / "folder").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    (folder / "a\nb").write_text("a name that nobody gave it")
    assert collect(folder) == {}


def test_a_home_that_is_a_link_is_not_entered(folder: Path, tmp_path: Path) -> None:
    home = folder.parent.parent
    home.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/.agent/sessions/x").write_text("x")
    home.symlink_to(tmp_path / "elsewhere")
    assert session.collect_files(home.parent, SESSIONS, Redactor([])) == {}


@pytest.mark.parametrize("sizes", [(session.MAX_BYTES + 1,), (session.MAX_BYTES // 2 + 1,) * 2])
def test_what_is_too_large_is_not_kept(folder: Path, sizes: tuple[int, ...]) -> None:
    for number, size in enumerate(sizes):
        with (folder / str(number)).open("wb") as file:
            file.truncate(size)
    with pytest.raises(session.SessionError, match="more than 67,108,864 bytes"):
        collect(folder)


def test_too_many_files_are_not_kept(folder: Path) -> None:
    for number in range(session.MAX_ENTRIES + 1):
        (folder / str(number)).touch()
    with pytest.raises(session.SessionError, match="more than 2,000 files"):
        collect(folder)


def test_a_secret_in_a_name_keeps_it_out(folder: Path) -> None:
    (folder / SECRET).write_text("x")
    with pytest.raises(session.SessionError, match="holds a secret"):
        collect(folder)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = session.AgentSession(
        harness="codex", id="id-1", workspace="/workspace", files={".codex/sessions/a b": b"\0x"}
    )
    session.write_session(tmp_path / "session.tar", made)
    assert session.read_session(tmp_path / "session.tar") == made


def test_what_is_no_session_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "session.tar"
    path.write_bytes(b"no archive")
    with pytest.raises(RunnerError, match="cannot be read"):
        session.read_session(path)
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("home/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(RunnerError, match="home/link has no place in it"):
        session.read_session(path)


@pytest.mark.parametrize(
    ("text", "fits"), [("0eb984e0-3d9c", True), ("ses_1.a", True), ("--evil", False), ("a b", False), ("", 0)]
)
def test_an_id_is_nothing_that_a_shell_or_a_program_acts_upon(text: str, fits: bool) -> None:
    assert session.is_session_id(text) is bool(fits)


def test_claude_code_finds_a_session_by_the_name_of_its_workspace() -> None:
    said = b'{"text": "\\"cwd\\""}\n{"cwd": "/workspace"}\nno JSON, "cwd"\n'
    files = {".claude/projects/-workspace/x/y.jsonl": said, ".claude/projects/note": b"of no workspace"}
    moved = ClaudeCode.sessions.moved(files, "/home/ada/my work_1.d")
    there = said.replace(b"/workspace", b"/home/ada/my work_1.d")
    assert moved == {".claude/projects/-home-ada-my-work-1-d/x/y.jsonl": there}
    assert ClaudeCode.sessions.command("id", None) == ("claude", "--resume", "id")


def test_codex_asks_whoever_provides_the_model_there() -> None:
    about = {
        "type": "session_meta",
        "payload": {"id": "1", "cwd": "/workspace", "model_provider": "skillrunner"},
    }
    settings = {"type": "event_msg", "payload": {"type": "thread_settings_applied", "thread_settings": {}}}
    said = {"type": "event_msg", "payload": {"type": "user_message", "text": '"session_meta"'}}
    content = "".join(json.dumps(line) + "\n" for line in (about, settings, said)).encode()
    (moved,) = Codex.sessions.moved({"a": content}, "/home/ada").values()
    assert [json.loads(line) for line in moved.splitlines()] == [
        {"type": "session_meta", "payload": {"id": "1", "cwd": "/home/ada"}},
        said,
    ]
    assert Codex.sessions.command("id", "gpt-5.5") == ("codex", "resume", "-m", "gpt-5.5", "id")


def test_gemini_is_told_which_folder_is_that_of_the_workspace() -> None:
    files = {".gemini/tmp/tree/.project_root": b"/workspace", ".gemini/tmp/tree/chats/x.jsonl": b"1"}
    assert Gemini.sessions.moved(files, "/home/ada") == {
        ".gemini/tmp/tree/.project_root": b"/home/ada",
        ".gemini/tmp/tree/chats/x.jsonl": b"1",
        ".gemini/projects.json": b'{"projects": {"/home/ada": "tree"}}',
    }
