"""The door to git: what it passes on, what it never passes on, and what its errors say."""

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.clients.git import Git, address, blobs, discover, entries, files_at, main_worktree
from runner.clients.git.call import environment
from runner.clients.git.failures import GitResult, failure, redact
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from tests.parts.repos import BASE, bare, commit, git

TOKEN = "AUTHORIZATION: basic eC1hY2Nlc3M6dG9rZW4="


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return bare(tmp_path / "source.git")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://github.com/owner/name", ("github.com", "owner/name")),
        ("https://github.com/owner/name.git", ("github.com", "owner/name")),
        ("https://x-access-token:t0ken@github.com/owner/name/", ("github.com", "owner/name")),
        ("http://github.com:80/owner/name", ("github.com", "owner/name")),
        ("ssh://git@github.com:22/owner/name.git", ("github.com", "owner/name")),
        ("ssh://git@ssh.github.com:443/owner/name.git", ("ssh.github.com", "owner/name")),
        ("git@github.com:owner/na.me.git", ("github.com", "owner/na.me")),
        ("https://GitHub.com/owner/name", ("github.com", "owner/name")),
        ("https://github.com.evil.example/owner/name", ("github.com.evil.example", "owner/name")),
        ("https://evil.example/github.com/owner/name", None),
        ("https://github.com/owner", None),
        ("https://github.com/owner/name/tree/main", None),
        ("/srv/owner/name", None),
        ("../owner/name", None),
        ("", None),
    ],
)
def test_an_address_has_a_host_and_a_name(url: str, found: tuple[str, str] | None) -> None:
    assert address(url) == found


def test_a_port_is_no_part_of_the_host() -> None:
    assert address("https://ghe.example.com:8443/owner/name") == ("ghe.example.com", "owner/name")


def test_environment_is_made_from_scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "GIT_DIR",
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_PARAMETERS",
        "GITHUB_TOKEN",
        "XDG_CONFIG_HOME",
        "LD_PRELOAD",
    ):
        monkeypatch.setenv(name, "from the host")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    found = environment(tmp_path, {"GIT_INDEX_FILE": "mine"})
    assert "from the host" not in found.values()
    assert found["HTTPS_PROXY"] == "http://proxy:3128"
    assert found["GIT_INDEX_FILE"] == "mine"
    assert found["GIT_CEILING_DIRECTORIES"] == str(tmp_path.parent)


def test_the_hosts_configuration_plays_no_part(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[alias]\n    hello = "!echo from the host"\n[user]\n    name = Host\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.email")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "host@example.com")
    assert Git(source).output("config", "--get-regexp", "^(user|alias)", ok=(0, 1)) == ""


def test_a_repository_above_is_never_taken(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "inner").mkdir()
    with pytest.raises(RunnerError, match="not a git repository"):
        Git(tmp_path / "inner").run("status")


def test_hooks_and_fsmonitor_of_a_repository_stay_silent(source: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(source), str(clone))
    trace = tmp_path / "trace"
    hook = clone / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho called > {trace}\n")
    hook.chmod(0o755)
    git(clone, "config", "core.fsmonitor", str(hook))
    Git(clone).run("checkout", "--detach")
    Git(clone).run("status")
    assert not trace.exists()


@pytest.mark.parametrize(
    "url", ["ext::sh -c 'touch {trace}'", "fd::17", "git://127.0.0.1:1/x", "ftp://127.0.0.1:1/x"]
)
def test_only_plain_transports(source: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(RunnerError, match="not allowed"):
        Git(source).run("ls-remote", url.format(trace=tmp_path / "trace"))
    assert not (tmp_path / "trace").exists()


def test_a_failure_says_what_where_and_why(source: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        Git(source, phase=Phase.PUBLISH).run("rev-parse", "--verify", "nothing-of-this-name")
    error = caught.value
    assert (error.phase, error.reason) == (Phase.PUBLISH, Reason.REF_NOT_FOUND)
    assert "`git rev-parse --verify nothing-of-this-name`" in error.message
    assert str(source) in error.message
    assert "Needed a single revision" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("said", "reason", "retryable"),
    [
        ("fatal: write error: No space left on device", Reason.DISK_FULL, True),
        ("fatal: Authentication failed for 'https://github.com/o/n/'", Reason.FORGE_DENIED, False),
        (
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
            Reason.FORGE_DENIED,
            False,
        ),
        ("git@github.com: Permission denied (publickey).", Reason.FORGE_DENIED, False),
        (
            "fatal: unable to access 'https://x/': The requested URL returned error: 403",
            Reason.FORGE_DENIED,
            False,
        ),
        (
            "remote: Repository not found.\nfatal: repository 'https://github.com/o/n/' not found",
            Reason.FORGE_NOT_FOUND,
            False,
        ),
        ("fatal: '/nowhere' does not appear to be a git repository", Reason.FORGE_NOT_FOUND, False),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", Reason.FORGE_UNAVAILABLE, True),
        (
            "fatal: unable to access 'https://x/': The requested URL returned error: 502",
            Reason.FORGE_UNAVAILABLE,
            True,
        ),
        ("error: insufficient permission for adding an object\nPermission denied", Reason.GIT_FAILED, False),
        ("fatal: something new", Reason.GIT_FAILED, False),
        ("", Reason.GIT_FAILED, False),
    ],
)
def test_known_causes(said: str, reason: Reason, retryable: bool, tmp_path: Path) -> None:
    error = failure(Phase.CHECKOUT, tmp_path, ["fetch"], GitResult(128, b"", said))
    assert (error.reason, error.retryable) == (reason, retryable)
    assert bool(error.hint) == ("something new" not in said and bool(said))


def test_no_credential_reaches_a_message() -> None:
    variables = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.x.extraHeader",
        "GIT_CONFIG_VALUE_0": TOKEN,
    }
    said = f"fatal: sent {TOKEN} and eC1hY2Nlc3M6dG9rZW4= to https://user:pass@github.com/o/n"
    assert redact(said, variables) == "fatal: sent *** and *** to https://***@github.com/o/n"


def test_git_that_is_missing(source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunnerError, match="git is not installed") as caught:
        Git(source).run("version")
    assert caught.value.hint == "install git 2.38 or newer"


@contextmanager
def server(status: int, location: str = "") -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that answers everything alike, and the Authorization headers that it got."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            if location:
                self.send_header("Location", location + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests are silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}", seen
        finally:
            found.shutdown()
            thread.join()


def credential(url: str) -> dict[str, str]:
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{url}/.extraHeader",
        "GIT_CONFIG_VALUE_0": TOKEN,
    }


def test_a_redirect_is_not_followed(source: Path) -> None:
    with server(401) as (other, stolen), server(301, other) as (url, seen):
        with pytest.raises(RunnerError) as caught:
            Git(source).run("ls-remote", f"{url}/o/n", variables=credential(url))
        assert (len(seen), stolen) == (1, [])
    assert caught.value.reason is Reason.FORGE_NOT_FOUND
    assert "has moved" in caught.value.hint


def test_a_credential_goes_to_its_own_host(source: Path) -> None:
    with server(404) as (other, others), server(401) as (url, seen):
        for host, reason in ((url, Reason.FORGE_DENIED), (other, Reason.FORGE_NOT_FOUND)):
            with pytest.raises(RunnerError) as caught:
                Git(source, credential(url)).run("ls-remote", f"{host}/o/n")
            assert caught.value.reason is reason
            assert "eC1hY2Nlc3M6dG9rZW4=" not in str(caught.value)
        assert seen[0] == TOKEN.removeprefix("AUTHORIZATION: ")
        assert set(others) == {""}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_git_as_another_user(tmp_path: Path) -> None:
    done = Git(Path("/")).run("-c", "alias.who=!id -u", "who", user=(65534, 65534))
    assert done.stdout == b"65534\n"


def test_files_at_a_commit(source: Path) -> None:
    sha = commit(
        source, {"skills/x/skill.yaml": b"version: 1\n", "skills/y/link": (0o120000, b"/etc/passwd")}
    )
    assert files_at(source, sha, ["skills"]) == {"skills/x/skill.yaml": b"version: 1\n"}
    assert files_at(source, sha, ["nowhere"]) == {}
    assert set(files_at(source, f"{sha}~1", ["docs", "README.md"])) == {
        "README.md",
        "docs/a.md",
        "docs/deep/b.md",
    }


def test_files_at_has_limits(source: Path) -> None:
    with pytest.raises(RunnerError, match=r"docs/a.md at main has 14 bytes, more than 10"):
        files_at(source, "main", ["docs/a.md"], max_file=10)
    with pytest.raises(RunnerError, match="more than 15 bytes"):
        files_at(source, "main", ["docs"], max_total=15)


def test_entries_and_blobs(source: Path) -> None:
    found = entries(Git(source), "main", sizes=True)
    assert found["bin/run"].mode == 0o100755
    assert found["link"].mode == 0o120000
    assert found["logo.png"].size == 7
    shas = [found["logo.png"].sha, found["docs/a.md"].sha]
    assert list(blobs(Git(source), shas)) == [(shas[0], BASE["logo.png"]), (shas[1], BASE["docs/a.md"])]
    with pytest.raises(RunnerError, match="is missing"):
        list(blobs(Git(source), ["1" * 40]))


def checkout(source: Path, at: Path) -> Path:
    git(source.parent, "clone", "--quiet", str(source), str(at))
    return at


def test_discover(source: Path, tmp_path: Path) -> None:
    root = checkout(source, tmp_path / "work")
    git(root, "remote", "add", "hub", "https://user:t0ken@github.com/owner/name.git")
    git(root, "checkout", "--quiet", "-b", "feature")
    found = discover(root / "docs")
    assert found.root == root
    assert found.head_sha == git(source, "rev-parse", "main")
    assert (found.branch, found.default_branch) == ("feature", "main")
    assert found.remotes == {"origin": str(source), "hub": "https://github.com/owner/name.git"}
    (root / "new").touch()
    git(root, "checkout", "--quiet", "--detach")
    assert discover(root).branch is None


def test_default_branch_without_a_remote(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk", "repo")
    git(tmp_path / "repo", "commit", "--quiet", "--allow-empty", "-m", "first")
    assert discover(tmp_path / "repo").default_branch == "trunk"
    git(tmp_path / "repo", "branch", "master")
    assert discover(tmp_path / "repo").default_branch == "master"


def test_discover_says_what_is_wrong(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, reason, hint in (
        (tmp_path / "empty", Reason.NOT_A_REPOSITORY, "git init"),
        (tmp_path / "missing", Reason.NOT_A_REPOSITORY, "check the path"),
        (source, Reason.NOT_A_REPOSITORY, "checkout"),
    ):
        with pytest.raises(RunnerError) as caught:
            discover(path)
        assert caught.value.reason is reason
        assert hint in caught.value.hint
        assert str(path) in caught.value.message


def test_a_repository_may_have_no_commit_yet(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "-b", "trunk", "fresh")
    found = discover(tmp_path / "fresh")
    assert (found.branch, found.default_branch, found.head) == ("trunk", "trunk", "")
    with pytest.raises(RunnerError, match="has no commits yet") as caught:
        _ = found.head_sha
    assert caught.value.reason is Reason.REF_NOT_FOUND
    assert "git commit" in caught.value.hint


def _damage(root: Path, kind: str) -> None:
    head = git(root, "rev-parse", "HEAD")
    loose = root / ".git/objects" / head[:2] / head[2:]
    if kind == "branch gone":
        git(root, "symbolic-ref", "HEAD", "refs/heads/gone")
    elif kind == "commit gone":
        loose.unlink()
    elif kind == "commit empty":
        loose.chmod(0o644)
        loose.write_bytes(b"")
    elif kind == "HEAD":
        (root / ".git/HEAD").write_text("garbage\n")
    elif kind == "config":
        (root / ".git/config").write_text("[broken\n")
    else:
        git(root, "config", "core.repositoryFormatVersion", "1")
        git(root, "config", "extensions.unheard", "of")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("branch gone", "stands on the branch gone, which does not exist"),
        ("commit gone", "is damaged: the commit of the branch main cannot be read"),
        ("commit empty", "is damaged: the commit of the branch main cannot be read"),
        ("HEAD", "git cannot read"),
        ("config", "bad config line 1"),
        ("extension", "unknown repository extension"),
    ],
)
def test_a_damaged_repository_is_not_called_empty_or_absent(tmp_path: Path, kind: str, words: str) -> None:
    root = tmp_path / "repo"
    git(tmp_path, "init", "--quiet", "-b", "main", "repo")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "first")
    _damage(root, kind)
    with pytest.raises(RunnerError) as caught:
        _ = discover(root).head_sha
    assert words in caught.value.message
    assert "no commits yet" not in caught.value.message
    assert "git init" not in caught.value.hint


def test_a_repository_with_sha256_has_a_head(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "-b", "main", "--object-format=sha256", "repo")
    git(tmp_path / "repo", "commit", "--quiet", "--allow-empty", "-m", "first")
    assert len(discover(tmp_path / "repo").head_sha) == 64


def test_a_tag_named_like_the_branch_does_not_change_its_name(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    git(tmp_path, "init", "--quiet", "-b", "main", "repo")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "first")
    git(root, "tag", "main")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "second")
    found = discover(root)
    assert (found.branch, found.default_branch) == ("main", "main")
    assert found.head == git(root, "rev-parse", "HEAD")


def test_origins_head_that_leads_nowhere_is_not_the_default(source: Path, tmp_path: Path) -> None:
    root = checkout(source, tmp_path / "work")
    git(root, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
    assert discover(root).default_branch == "main"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_discover_in_somebody_elses_repository(source: Path, tmp_path: Path) -> None:
    root = checkout(source, tmp_path / "theirs")
    subprocess.run(["chown", "-R", "65534", str(root)], check=True)
    with pytest.raises(RunnerError) as caught:
        discover(root)
    assert "safe.directory" in caught.value.hint


def test_all_worktrees_of_a_repository_are_known_by_one_folder(source: Path, tmp_path: Path) -> None:
    main, made = tmp_path / "main", tmp_path / "super"
    git(tmp_path, "clone", "-q", str(source), str(main))
    git(main, "worktree", "add", "-q", str(tmp_path / "linked"))
    git(source, "worktree", "add", "-q", str(tmp_path / "of-bare"), "-b", "other")
    git(tmp_path, "init", "-q", str(made))
    git(made, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(source), "sub")
    git(made / "sub", "worktree", "add", "-q", str(tmp_path / "of-sub"))
    found = {
        one: main_worktree(tmp_path / one) for one in ("main", "linked", "of-bare", "super/sub", "of-sub")
    }
    assert found == {
        "main": main,
        "linked": main,
        "of-bare": source,
        "super/sub": made / "sub",
        "of-sub": made / "sub",
    }
    (tmp_path / "linked/.git").write_text("gitdir: /gone\n")
    assert main_worktree(tmp_path / "linked") == tmp_path / "linked"
