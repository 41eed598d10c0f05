"""The one place that starts git, always with an environment made from scratch.

`Git` is for directories that are ours alone; it is never pointed at a tree that an agent could write to.
The settings below are those of git-config(1) by which git would start other programs, follow a redirect
with a credential, or ask a person.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.clients.git.failures import GitResult, failure, is_missing_ref, redact
from runner.core.model import Phase

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.logAllRefUpdates=false",
    "credential.helper=",
    "diff.external=",
    "diff.renames=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.followRedirects=false",  # a credential never goes to another host
    "http.lowSpeedLimit=1",  # a connection that says nothing for a minute is dead
    "http.lowSpeedTime=60",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "protocol.https.allow=always",
    "protocol.http.allow=always",
    "protocol.ssh.allow=always",
    "submodule.recurse=false",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
)
_FLAGS = tuple(part for setting in _SETTINGS for part in ("-c", setting))

_FIXED = {
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("git.config")),
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
_PASSED_ON = re.compile(
    r"PATH|TMPDIR|SSH_AUTH_SOCK|SSL_CERT_FILE|SSL_CERT_DIR|(?:(?:HTTPS?|ALL|NO)_PROXY)|(?:(?:https?|all|no)_proxy)"
)


@dataclass(frozen=True, slots=True)
class Git:
    """git, bound to one directory of ours.

    `variables` join the environment of every call: the credential of a remote travels there, as git
    configuration (`GIT_CONFIG_COUNT`, ...), because other users can read a command line. `phase` is
    the part of a run that an error is blamed on.
    """

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    phase: Phase = Phase.CHECKOUT

    def run(
        self,
        *args: str | Path,
        stdin: bytes = b"",
        ok: Sequence[int] = (0,),
        variables: Mapping[str, str] | None = None,
        user: tuple[int, int] | None = None,
    ) -> GitResult:
        """Call git; `user` is the uid and gid to run it as, for the superuser.

        Raises RunnerError when git is missing or its exit code is not in `ok`.
        """
        extra = {**self.variables, **(variables or {})}
        try:
            found = subprocess.run(
                ["git", "-C", str(self.directory), *_FLAGS, *map(str, args)],
                input=stdin,
                capture_output=True,
                env=environment(self.directory, extra),
                check=False,
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=[] if user else None,
            )
        except FileNotFoundError as error:
            raise is_missing_ref(self.phase) from error
        done = GitResult(found.returncode, found.stdout, redact(found.stderr.decode(errors="replace"), extra))
        if done.code not in ok:
            raise failure(self.phase, self.directory, args, done)
        return done

    def output(
        self,
        *args: str | Path,
        stdin: bytes = b"",
        ok: Sequence[int] = (0,),
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """What git printed, stripped; bytes that are not UTF-8 are kept as surrogate escapes."""
        done = self.run(*args, stdin=stdin, ok=ok, variables=variables)
        return done.stdout.decode(errors="surrogateescape").strip()


def environment(directory: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a call: nothing of the host's but search path, proxies, certificates."""
    host = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    ceiling = {"GIT_CEILING_DIRECTORIES": str(directory.absolute().parent)}
    return {"PATH": os.defpath, **host, **_FIXED, **ceiling, **variables}
