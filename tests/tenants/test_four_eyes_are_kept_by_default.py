"""Hours in which a requester keeps off its approvers are a setting; none are kept in the first steps alone, and that shows."""

from pathlib import Path

import pytest

from bailiwick.wiring import InvalidSettings, Settings, embedded, load_settings


async def hours(folder: Path, settings: Settings) -> float:
    async with embedded(settings, []) as system:
        return system.platform.standings.hours


@pytest.mark.parametrize("given", ["0", "0.5", "-1", "745", "nan", "inf"])
def test_hours_that_keep_nobody_apart_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
) -> None:
    monkeypatch.setenv("BAILIWICK_FOUR_EYES_HOURS", given)
    with pytest.raises(InvalidSettings):
        load_settings(data_dir=str(tmp_path))


def test_a_profile_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings):
        load_settings(data_dir=str(tmp_path), profile="second-steps")


async def test_four_eyes_are_kept_for_a_day_unless_it_is_the_first_steps(tmp_path: Path) -> None:
    one = str(tmp_path / "one")
    assert await hours(tmp_path, load_settings(data_dir=one)) == 24
    assert await hours(tmp_path, load_settings(data_dir=one, four_eyes_hours=48)) == 48
    assert await hours(tmp_path, Settings(data_dir=one, four_eyes_hours=0)) == 1
    assert await hours(tmp_path, load_settings(data_dir=one, profile="first-steps")) == 0
