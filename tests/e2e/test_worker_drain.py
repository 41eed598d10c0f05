"""`worker drain`: workers are asked through their store to end, and what runs is finished first."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from runner.core.model import RunState
from runner.store.workers import WorkerStore
from tests.parts.racer import worker as record
from tests.parts.workers import Team

PATIENT = "silence: 60s"  # nobody is to die on a machine that has much to do
WAITS = "touch ../begun; until test -e {go}; do sleep 0.1; done; date > docs/out.md"


def living(team: Team) -> list[str]:
    return [one.id for one in WorkerStore(team.store).list_living()]


@pytest.mark.parametrize("place", ["team", "cluster"])
def test_who_is_drained_takes_nothing_more_and_finishes_what_runs(
    place: str, request: pytest.FixtureRequest
) -> None:
    team: Team = request.getfixturevalue(place)
    team.settings = PATIENT
    go = team.project.home / "go"
    team.commit("slow", WAITS.format(go=go))
    first = team.start()
    team.until(lambda: team.is_in(RunState.RUNNING))
    (name,) = living(team)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(team.process, "worker", "drain", "--wait")
        team.until(lambda: [one.state for one in WorkerStore(team.store).list_living()] == ["draining"])
        team.commit("later", "true")
        assert not waits.done()
        go.touch()
        done = waits.result()
    assert (done.code, done.out) == (0, f"asked to end: {name}\nended: {name}\n")
    assert first.wait() == 0
    assert team.states() == ["succeeded"]
    assert team.skillrunner("worker", "drain", "--wait").out == "no worker runs\n"


def test_one_of_several_is_drained_by_how_its_id_begins(cluster: Team) -> None:
    cluster.settings = PATIENT
    cluster.commit("never", "true", on="{manual: {}}")
    workers = [cluster.start(machine=name) for name in "ab"]
    cluster.until(lambda: len(living(cluster)) == 2)
    names = living(cluster)
    for wrong in ("nobody", names[0][:1]):
        refused = cluster.skillrunner("worker", "drain", wrong)
        assert refused.code == 3
        assert names[0] in refused.err
    done = cluster.skillrunner("worker", "drain", names[0][:-1], "--wait")
    assert (done.code, done.out) == (0, f"asked to end: {names[0]}\nended: {names[0]}\n")
    assert living(cluster) == names[1:]
    cluster.until(lambda: any(one.process.poll() == 0 for one in workers))


def test_now_stops_what_runs(team: Team) -> None:
    team.settings = PATIENT
    team.commit("slow", "touch docs/begun; sleep 600")
    one = team.start()
    team.until(lambda: team.is_in(RunState.RUNNING))
    assert team.skillrunner("worker", "drain").code == 0
    team.until(lambda: [one.state for one in WorkerStore(team.store).list_living()] == ["draining"])
    assert team.skillrunner("worker", "drain", "--now", "--wait").code == 0
    assert one.wait() == 0
    assert team.states() == ["cancelled"]


def test_whoever_waits_is_told_of_the_dead(team: Team) -> None:
    team.commit("slow", "sleep 600")
    one = team.start()
    team.until(lambda: bool(living(team)))
    one.kill()
    WorkerStore(team.store).register(record("gone", place="elsewhere", silence=3.0))
    done = team.skillrunner("worker", "drain", "--wait")
    assert done.code == 1
    assert sorted(done.err.split()[1::2]) == sorted(living(team))
    assert done.err.count("died: ") == 2
