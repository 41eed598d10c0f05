"""A Docker engine that hangs, images that cannot be had: what breaks has a cause, and the rest goes on."""

import signal
from pathlib import Path

import pytest

from runner.core.model import End, Phase, Reason, RunState
from tests.parts.engine import OwnEngine
from tests.parts.registry import registry
from tests.parts.workers import Team

pytestmark = pytest.mark.docker


def end_of(team: Team, skill: str) -> End:
    end = team.runs(skill)[0].end
    assert end is not None
    return end


def test_an_engine_that_hangs_is_no_failure_of_the_skill(
    team: Team, tmp_path: Path, own_engine: OwnEngine
) -> None:
    """The run that it holds ends with an error of its surroundings; the worker goes on when it is back."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    team.project.variables.update(SKILLRUNNER_IMAGE=own_engine.image(), DOCKER_HOST=own_engine.host)
    team.commit("slow", "touch docs/begun; exec sleep 3600")
    driver = ("-m", "tests.parts.worker_driver", "--clock", str(clock), "--engine", "8")
    worker = team.start(*driver, sandbox="docker")
    team.until(lambda: list(team.project.state.glob("workspaces/*/tree/docs/begun")))
    own_engine.freeze()
    team.until(lambda: team.are_ended(1, "slow"), 240)
    end = end_of(team, "slow")
    assert (end.state, end.retryable) == (RunState.ERROR, True), end
    assert end.reason in (Reason.ENGINE_FAILED, Reason.ENGINE_UNAVAILABLE)
    assert "Docker" in end.message
    team.commit("next", "cat > docs/next.md")
    team.until(lambda: team.runs("next"))
    own_engine.thaw()

    def is_done() -> bool:
        clock.write_text(str(float(clock.read_text()) + 60))  # past its next turn, whenever that is
        return team.states("next") == ["succeeded"]

    team.until(is_done, 240)
    team.until(lambda: own_engine.containers() == [], 240)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_an_image_that_cannot_be_had_is_told_and_the_others_run(team: Team, local_image: str) -> None:
    team.project.variables["SKILLRUNNER_IMAGE"] = local_image
    with registry() as (address, _):
        absent = {"missing": f"{address}/no/such:1", "broken": f"{address}/broken/tool:1"}
        for name, image in absent.items():
            team.commit(name, "true", more=f"environment: {{image: '{image}'}}\n")
        team.commit("fine", "cat > docs/fine.md")
        worker = team.start(sandbox="docker")
        team.until(lambda: all(team.are_ended(1, name) for name in ("missing", "broken", "fine")))
    assert team.states("fine") == ["succeeded"]
    for name, image in absent.items():
        end = end_of(team, name)
        assert (end.phase, end.reason) == (Phase.SANDBOX, Reason.IMAGE_NOT_FOUND)
        assert image in end.message
        assert end.hint == f"docker pull {image}"
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
