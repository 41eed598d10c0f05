"""`skillrunner completion`: what a shell needs to complete command lines."""

from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, say_result

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

_PROGRAM = "skillrunner"
_VARIABLE = "_SKILLRUNNER_COMPLETE"
_HOW = {
    "bash": f"{_PROGRAM} completion bash > ~/.local/share/bash-completion/completions/{_PROGRAM}",
    "zsh": f'{_PROGRAM} completion zsh > "${{fpath[1]}}/_{_PROGRAM}"',
    "fish": f"{_PROGRAM} completion fish > ~/.config/fish/completions/{_PROGRAM}.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(_HOW)))
@json_option
@click.pass_context
def command(context: click.Context, shell: str, as_json: bool) -> None:
    """Print a script with which SHELL completes commands and options.

    \b
    bash:  skillrunner completion bash > ~/.local/share/bash-completion/completions/skillrunner
    zsh:   skillrunner completion zsh > "${fpath[1]}/_skillrunner"
    fish:  skillrunner completion fish > ~/.config/fish/completions/skillrunner.fish
    """
    from click.shell_completion import get_completion_class

    kind: type[ShellComplete] | None = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, _PROGRAM, _VARIABLE).source()
    say_result(as_json, script, shell=shell, script=script, install=_HOW[shell])
