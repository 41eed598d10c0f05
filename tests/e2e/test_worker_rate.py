"""Rates hold across the workers of a store; what waits because of one says so, and begins later."""

from tests.parts.workers import Team


def test_what_comes_too_often_waits_and_begins_later(cluster: Team) -> None:
    cluster.settings = "silence: 60s, concurrency: {worker: 4}, rate: {total: 2/h}"
    for name in ("one", "two", "three"):
        cluster.commit(name, "true")
    clock, effects = cluster.project.home / "clock", cluster.project.home / "effects"
    clock.write_text("0")
    for machine in "ab":
        cluster.driver("--clock", str(clock), "--effects", str(effects), machine=machine)
    cluster.until(lambda: sorted(cluster.states()) == ["queued", "succeeded", "succeeded"])
    assert len(effects.read_text().splitlines()) == 2
    (waits,) = [run for run in cluster.runs() if run.end is None]
    reason = "2 runs have begun, 2/h may: the next at "
    assert f"1 waiting\n  1 wait: limit: {reason}" in cluster.skillrunner("worker", "status").out
    assert f"it waits    limit: {reason}" in cluster.skillrunner("why", waits.skill).out
    clock.write_text("3700")
    cluster.until(lambda: cluster.are_ended(3))
    assert len(effects.read_text().splitlines()) == 3
