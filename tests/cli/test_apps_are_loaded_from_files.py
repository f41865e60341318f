"""App files: one app in each, errors that point to the line, models that are given or scripted."""

from pathlib import Path

import pytest

from bailiwick.cli.apps import (
    AppNotLoaded,
    UnknownProvider,
    load_app,
    load_apps,
    shipped,
    with_model,
    with_scripted_models,
)
from bailiwick.wiring import Provider, Settings

START = 'from bailiwick.app import App\n\napp = App("one", model="scripted:plain")\n'
AGENT = 'app.agent("writer", prompt="Write.", output={"text": str})\n'


def written(folder: Path, text: str, name: str = "app.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1\n", 0, "makes 0 apps"),
        (START + 'other = App("two")\n', 0, "makes 2 apps"),
        (START + "app.nothing()\n", 4, "AttributeError"),
        (START + "def f(:\n", 4, "invalid syntax"),
        (START + 'app.workflow("w", steps=[])\n', 4, "the workflow has"),
        (START + "def f():\n    raise SystemExit(0)\n\nf()\n", 5, "SystemExit"),
        ("import nothing_of_this_name\n", 1, "ModuleNotFoundError"),
    ],
    ids=["none", "two", "raises", "syntax", "workflow", "exits", "import"],
)
def test_a_file_that_makes_no_app_is_refused_at_its_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(AppNotLoaded) as refused:
        load_app(path)
    assert refused.value.facts["line"] == line
    assert said in refused.value.message
    assert refused.value.message.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert refused.value.remedy


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppNotLoaded, match="no such file"):
        load_app(tmp_path / "absent.py")


def test_a_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    written(tmp_path, 'NAME = "beside"\n', "words_beside.py")
    path = written(
        tmp_path, "from bailiwick.app import App\nfrom words_beside import NAME\n\nx = App(NAME)\n"
    )
    assert load_app(path).name == "beside"


def test_an_app_that_stands_under_two_names_is_one_app(tmp_path: Path) -> None:
    assert load_app(written(tmp_path, START + "again = app\n")).name == "one"


def test_two_files_cannot_give_one_name_twice(tmp_path: Path) -> None:
    paths = [written(tmp_path, START, "a.py"), written(tmp_path, START, "b.py")]
    with pytest.raises(AppNotLoaded, match="another file has an app named 'one'"):
        load_apps(paths)


def test_the_shipped_examples_load() -> None:
    assert [app.name for app in load_apps([])] == [load_app(path).name for path in shipped()]
    assert shipped()


def test_another_model_is_given_to_the_agents_that_use_the_default(tmp_path: Path) -> None:
    own = 'app.agent("judge", prompt="Judge.", output={"text": str}, model="openai:gpt-5")\n'
    app = with_model(load_app(written(tmp_path, START + AGENT + own)), "openai:gpt-5-mini")
    models = {ref.partition("@")[0]: agent.model for ref, agent in app.agents.items()}
    assert models == {"writer": "openai:gpt-5-mini", "judge": "openai:gpt-5"}


def test_a_scripted_model_gets_a_server_and_it_is_said(tmp_path: Path) -> None:
    app = load_app(written(tmp_path, START + AGENT))
    with with_scripted_models(Settings(), [app]) as (settings, scripted):
        assert scripted == ("scripted:plain",)
        assert settings.providers["scripted"].base_url.startswith("http://127.0.0.1:")


def test_a_scripted_server_of_the_settings_is_left_alone(tmp_path: Path) -> None:
    given = Settings(providers={"scripted": Provider("http://127.0.0.1:9/v1")})
    with with_scripted_models(given, [load_app(written(tmp_path, START + AGENT))]) as (settings, _):
        assert settings == given


@pytest.mark.parametrize(
    ("model", "said"),
    [("gpt-5", "names no provider"), ("acme:m", "no provider 'acme'"), ("openai:gpt-5", "no API key")],
)
def test_a_model_nobody_serves_is_refused_before_the_start(tmp_path: Path, model: str, said: str) -> None:
    app = with_model(load_app(written(tmp_path, START + AGENT)), model)
    given = Settings(providers={"openai": Provider("https://api.openai.com/v1")})
    with pytest.raises(UnknownProvider, match=said), with_scripted_models(given, [app]):
        pass
