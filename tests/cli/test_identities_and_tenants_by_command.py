"""Identities, keys and tenants at the command line; a lost admin key is made anew on the host."""

import asyncio
from pathlib import Path

from cli_kit import Call, Place, run

from bailiwick.wiring import Settings, embedded


def test_one_name_is_one_identity(call: Call) -> None:
    made = call("keys", "create", "--name", "ines", "--role", "viewer", "-o", "json").json()
    again = call("keys", "create", "--name", "ines", "--role", "approver", "--group", "senders")
    assert again.code == 2
    assert "name_taken" in again.err
    assert "bailiwick keys create --identity ines" in again.err
    second = call(
        "keys", "create", "--identity", "ines", "--expires", "2999-01-01T00:00:00Z", "-o", "json"
    ).json()
    assert second["key"]["identity"] == made["key"]["identity"]
    assert second["key"]["expires_at"].startswith("2999-01-01")
    for name in ("", "In\u00e9s", "ines\u200b", "i n"):
        assert call("keys", "create", "--name", name, "--role", "viewer").code == 2
    for wrong in (("--name", "x"), ("--identity", "ines", "--role", "admin"), ("--identity", "nobody")):
        assert call("keys", "create", *wrong).code == 2


def test_an_identity_is_changed_disabled_and_enabled(call: Call) -> None:
    call("identities", "create", "--name", "otto", "--role", "viewer", "--service")
    secret = call("keys", "create", "--identity", "otto", "-o", "json").json()["secret"]
    assert call("identities", "change", "otto", "--role", "operator", "--group", "senders").code == 0
    row = next(
        one for one in call("identities", "list", "-o", "json").json()["identities"] if one["name"] == "otto"
    )
    assert (row["kind"], row["role"], row["groups"]) == ("service", "operator", ["senders"])
    assert call("runs", "list", "--key", secret).code == 0
    assert call("identities", "disable", "otto").code == 0
    assert "unauthenticated" in call("runs", "list", "--key", secret).err
    assert call("identities", "enable", "otto").code == 0
    assert call("runs", "list", "--key", secret).code == 0
    assert call("identities", "change", "otto").code == 2


def test_the_last_admin_stays(call: Call) -> None:
    keys = call("keys", "list", "-o", "json").json()["keys"]
    (own,) = [key for key in keys if key["role"] == "admin" and not key["revoked_at"]]
    for act in (
        ("keys", "revoke", own["id"]),
        ("identities", "disable", own["name"]),
        ("identities", "change", own["name"], "--role", "viewer"),
    ):
        refused = call(*act)
        assert refused.code == 2
        assert "last_admin" in refused.err


def test_a_second_tenant_is_made_listed_disabled_and_enabled(call: Call) -> None:
    made = call("tenants", "create", "acme", "-o", "json").json()
    secret = made["secret"]
    assert call("keys", "list", "--key", secret, "-o", "json").json()["keys"][0]["name"] == "admin"
    assert call("runs", "list", "--key", secret, "-o", "json").json()["runs"] == []
    assert call("tenants", "create", "acme").code == 2
    assert call("tenants", "list", "--key", secret).code == 4
    assert [one["id"] for one in call("tenants", "list", "-o", "json").json()["tenants"]] == [
        "acme",
        "default",
    ]
    assert call("tenants", "disable", "acme").code == 0
    assert "tenant_disabled" in call("runs", "list", "--key", secret).err
    assert call("tenants", "enable", "acme").code == 0
    assert call("runs", "list", "--key", secret).code == 0
    given = ("--app", "post", "--workflow", "greet", "--input", '{"text": "a"}')
    assert "there is no app" in call("runs", "submit", *given, "--key", secret).err


def test_a_lost_admin_key_is_made_anew_on_the_host(tmp_path: Path, call: Call, place: Place) -> None:
    """The host alone can; a server that holds the directory is in the way, and says so."""
    held = run(tmp_path, "keys", "recover", "--data-dir", str(place.folder))
    assert held.code != 0
    assert "data_dir_in_use" in held.err
    nothing = run(tmp_path, "keys", "recover", "--data-dir", str(tmp_path / "none"))
    assert nothing.code != 0
    assert not (tmp_path / "none").exists()
    folder = tmp_path / "data"

    async def begin() -> None:
        async with embedded(Settings(data_dir=str(folder)), []):
            pass

    async def recognised(secret: str) -> str:
        async with embedded(Settings(data_dir=str(folder)), []) as system:
            who = system.platform.keyring.authenticate(secret)
            changes = await system.store.views.identity_changes(who.tenant, who.id, 9)
            assert {change.by_identity for change in changes} == {""}
            return f"{who.role}"

    asyncio.run(begin())
    done = run(tmp_path, "keys", "recover", "--data-dir", str(folder))
    assert done.code == 0, done.err
    assert asyncio.run(recognised(done.out.strip())) == "admin"
