"""What a container gets, as it is asked of the engine."""

import json

import pytest

from runner.sandboxes.docker import options, seccomp

TOOLS = options.TOOLS


@pytest.mark.parametrize(
    ("image", "given", "expected"),
    [
        (["PATH=/usr/local/go/bin:/usr/bin:/bin"], {}, f"{TOOLS}:/usr/local/go/bin:/usr/bin:/bin"),
        (["PATH=/opt/venv/bin:/usr/bin", "VIRTUAL_ENV=/opt/venv"], {}, f"{TOOLS}:/opt/venv/bin:/usr/bin"),
        (["PATH=/usr/bin"], {"PATH": "/mine"}, f"{TOOLS}:/mine"),
        ([], {}, f"{TOOLS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        (["PATH="], {}, f"{TOOLS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        (["PATHS=/x", "NOTHING", "PATH=/a=b"], {"PATH": ""}, f"{TOOLS}:/a=b"),
    ],
)
def test_the_images_own_path_comes_after_the_tools(
    image: list[str], given: dict[str, str], expected: str
) -> None:
    assert options.variables(image, given)["PATH"] == expected


def test_what_a_skill_says_goes_before_what_is_usual() -> None:
    made = options.variables(["GOPATH=/go"], {"LANG": "de_DE.UTF-8", "X": "1"})
    assert (made["LANG"], made["X"], made["HOME"]) == ("de_DE.UTF-8", "1", options.PLACES.home)
    assert "GOPATH" not in made  # the engine adds the image's own


def test_the_profile_names_no_call_twice_and_none_that_leads_out() -> None:
    calls = json.loads(seccomp.profile())["syscalls"]
    plain = calls[0]["names"]
    assert len(plain) == len(set(plain))
    refused = "io_uring_setup io_uring_enter io_uring_register bpf unshare setns mount keyctl add_key"
    refused += " userfaultfd perf_event_open kexec_load open_by_handle_at socketcall pivot_root clone3 socket"
    assert not set(refused.split()) & set(plain)
