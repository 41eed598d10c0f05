"""People talk to the agent of a run that a worker carries out, through the store that both know."""

from tests.parts.workers import Team

WAITS = "echo new > docs/new.md; touch {begun}; until test -e {go}; do sleep 0.1; done"


def test_a_workers_agent_is_paused_told_something_and_cancelled(cluster: Team) -> None:
    cluster.settings = "silence: 60s"
    begun = cluster.project.home / "begun"
    cluster.commit("slow", WAITS.format(begun=begun, go=cluster.project.home / "go"))
    cluster.start()
    cluster.until(begun.exists)
    assert cluster.skillrunner("steer", "latest", "Hello?").code == 0
    assert cluster.skillrunner("steer", "latest", "--pause", "Lunch.").code == 0
    cluster.until(lambda: "paused      " in cluster.skillrunner("show", "latest").out)
    assert cluster.skillrunner("steer", "latest", "--resume").code == 0
    cluster.until(lambda: "paused      " not in cluster.skillrunner("show", "latest").out)
    run_id = cluster.store.run("latest").id
    assert cluster.skillrunner("cancel", run_id).code == 0
    cluster.until(lambda: cluster.store.run(run_id).end is not None)
    assert cluster.states() == ["cancelled"]
    told = [event.message for _, event in cluster.store.events(run_id)]
    assert "the agent stands still: Lunch." in told
    assert "the agent goes on: somebody let it go on" in told
    assert "the agent was not told, it is too late: Hello?" in told
    assert "+new" in cluster.skillrunner("diff", run_id).out
    assert "has ended" in cluster.skillrunner("steer", run_id, "Hello?").err
