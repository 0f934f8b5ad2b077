"""What `driftline status` says of a service that has never run, that runs behind, that is done."""

from tests.stream.cli.calls import ROWS


def test_a_service_that_has_never_run_has_everything_left(driftline, config, file):
    driftline("ingest", config(), "--input", file)

    said = driftline("status", "--json")

    body = said.json()
    (shard,) = body["shards"]
    assert (body["service"], body["version"], body["aliases"]) == ("shop", 0, {})
    assert (shard["entry"], shard["committed"], shard["clock"]) == (None, None, None)
    assert shard["inputs"]["events"] == {"position": 0, "end": 50, "left": 50}
    assert shard["snapshot"] is None
    assert "has never run" in driftline("status").out


def test_a_service_that_is_done_has_nothing_left(driftline, config, file):
    driftline("ingest", config(), "--input", file)
    driftline("run", "--until-idle")
    (snapshot,) = driftline("snapshots", "list", "--json").json()["snapshots"]

    (shard,) = driftline("status", "--json").json()["shards"]

    assert {name: one["left"] for name, one in shard["inputs"].items()} == {
        "events": 0,
        "labels": 0,
        "commands": 0,
    }
    assert shard["outputs"] == {"predictions": 50, "alerts": 0, "dead-letters": 0}
    # then its clock is the time of the last row, as `ingest` gave it
    assert shard["clock"] == "2023-11-14T22:14:09.000Z"
    assert ROWS[-1]["time"] == 1_700_000_049_000
    assert shard["snapshot"]["id"] == snapshot["id"]
    assert shard["snapshot"]["written"] == snapshot["written"]
    assert shard["entry"] >= shard["snapshot"]["entry"] == snapshot["sequence"]


def test_a_command_waits_until_every_shard_has_applied_it(driftline, config, file):
    driftline("ingest", config(log_partitions=2), "--input", file)
    driftline("run", "--until-idle")
    command = driftline("models", "cut", "--json").json()["command"]["id"]

    before = driftline("status", "--json").json()
    for_people = driftline("status").out
    driftline("run", "--until-idle")
    driftline("models", "alias", "good", "1")
    driftline("run", "--until-idle")
    after = driftline("status", "--json").json()

    assert [(given["id"], given["shards"]) for given in before["waiting"]] == [(command, [0, 1])]
    assert [shard["waiting"] for shard in before["shards"]] == [[command], [command]]
    assert [shard["inputs"]["commands"]["left"] for shard in before["shards"]] == [1, 1]
    assert f"version {command}" in for_people
    assert after["waiting"] == []
    assert (after["version"], after["aliases"]) == (1, {"good": 1})
    assert [shard["version"] for shard in after["shards"]] == [1, 1]


def test_nothing_is_made_where_there_is_no_service(driftline, config, tmp_path):
    config()

    error, hint = driftline("status").refusal()

    assert "shop" in error or "topics" in error
    assert hint
    assert [path.name for path in tmp_path.iterdir()] == ["driftline.yaml"]
