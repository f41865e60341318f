"""A payload is erased by one command, which asks first, and the log that is taken away verifies with it gone."""

from pathlib import Path

from cli_kit import Call


def test_an_event_and_then_the_run_are_erased(call: Call, tmp_path: Path) -> None:
    given = ("--app", "post", "--workflow", "greet", "--input", '{"text": "zanzibar-0417"}', "-o", "json")
    run = call("runs", "submit", *given).json()["id"]
    assert call("runs", "watch", run).code == 0
    assert call("audit", "erase", f"{run}.1", "--reason", "ticket 17").code != 0, "nobody said yes"
    assert call("audit", "erase", f"{run}.x", "--reason", "ticket 17", "--yes").code == 2
    assert "zanzibar" in call("runs", "get", run, "-o", "json").out
    one = call("audit", "erase", f"{run}.1", "--reason", "ticket 17", "--yes", "-o", "json")
    assert (one.code, one.json()["erased"]) == (0, [f"{run}.1"])
    rest = call("audit", "erase", run, "--reason", "ticket 17", "--yes")
    assert rest.code == 0
    assert "erased" in rest.out
    assert "not_erasable" in call("audit", "erase", run, "--reason", "ticket 17", "--yes").err
    for command in (("get", run), ("events", run), ("watch", run), ("cost", run), ("replay", run)):
        told = call("runs", *command)
        assert told.code == 0, told.err
        assert "zanzibar" not in told.out
    folder = tmp_path / "export"
    assert call("audit", "export", str(folder)).code == 0
    verified = call("audit", "verify", str(folder), "-o", "json")
    assert verified.code == 0
    assert f"{run}.1" in verified.json()["erased"]
    assert call("audit", "invariants").code == 0
