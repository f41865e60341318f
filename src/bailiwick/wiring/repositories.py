"""Repositories that an app brings along: made once in the data directory, then left alone."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bailiwick.app import App, RepositorySource
from bailiwick.base import Category, Refusal
from bailiwick.stores import make_folder, write_private

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Bailiwick",
    "GIT_AUTHOR_EMAIL": "bailiwick@localhost",
    "GIT_COMMITTER_NAME": "Bailiwick",
    "GIT_COMMITTER_EMAIL": "bailiwick@localhost",
}


class NoGit(Refusal, code="no_git", category=Category.UNAVAILABLE):
    """git could not make a repository."""

    reason: str
    says = "git failed: {reason}"
    remedy = "install git and try again"


def repository_folders(apps: Sequence[App], folder: Path) -> dict[str, Path]:
    """Find the folder of each repository that the apps name; those that come as seeds are made here.

    Args:
        apps: Whose repositories.
        folder: Where seeded ones lie.
    """
    found: dict[str, Path] = {}
    for app in apps:
        for name, source in app.repositories.items():
            found[name] = source.path if source.path is not None else _seeded(source, folder / name)
    return found


def _seeded(source: RepositorySource, target: Path) -> Path:
    if (target / ".git").is_dir():
        return target
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    for path, text in source.seed.items():
        file = aside / path
        make_folder(file.parent)
        write_private(file, text.encode())
    make_folder(aside)
    # What lands there later is the owner's alone as well.
    _git(aside, "init", "-q", "--shared=0600", "-b", "main", "--template=")
    _git(aside, "add", "--all")
    _git(aside, "commit", "-q", "--allow-empty", "--no-verify", "-m", "Begin")
    aside.rename(target)
    return target


def _git(folder: Path, *arguments: str) -> None:
    environment = {**_ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath)}
    try:
        subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            umask=0o077,
        )
    except FileNotFoundError as error:
        raise NoGit("it is not installed") from error
    except subprocess.CalledProcessError as error:
        raise NoGit(error.stderr.strip()[-400:]) from error
