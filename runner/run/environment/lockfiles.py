"""The files that tell package managers what to install."""

from collections.abc import Iterator, Sequence

NAME = "lockfiles"
"""Stands for all of these in `environment.setup_key`."""

_KNOWN = """
requirements*.txt constraints*.txt pyproject.toml setup.py setup.cfg uv.lock poetry.lock pdm.lock
Pipfile Pipfile.lock package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml
bun.lock bun.lockb .npmrc .yarnrc.yml
go.mod go.sum go.work go.work.sum Cargo.toml Cargo.lock Gemfile Gemfile.lock composer.json composer.lock
mix.exs mix.lock pom.xml build.gradle build.gradle.kts gradle.lockfile libs.versions.toml packages.lock.json
.python-version .nvmrc .node-version .ruby-version .tool-versions mise.toml rust-toolchain rust-toolchain.toml
""".split()  # noqa: SIM905 - a list of words reads best as words


def setup_globs(named: Sequence[str], skill: str) -> tuple[str, ...]:
    """The globs of the files that set-up reads. `lockfiles` stands for known names and the folder `skill`."""

    def all_of(one: str) -> Iterator[str]:
        if one == NAME:
            yield f"{skill}/**"
            yield from (f"**/{known}" for known in _KNOWN)
        else:
            yield one

    return tuple(pattern for one in named for pattern in all_of(one))
