"""Floor 6: the tool host, with files, git, the sandboxed shell and users' own functions; it holds the credentials."""

from bailiwick.tools.checkout import Checkouts
from bailiwick.tools.credentials import CredentialRefused, Credentials, Redactor, Secret
from bailiwick.tools.files import FileTools
from bailiwick.tools.functions import InvalidFunction, function_tool
from bailiwick.tools.git import GitTools
from bailiwick.tools.host import Facts, Implementation, Tool, Tools
from bailiwick.tools.patch_parser import BadPatch, parse_patch
from bailiwick.tools.paths import BadPath, check_path
from bailiwick.tools.repository import Author, Repositories
from bailiwick.tools.shell import COMMANDS, ShellTool
from bailiwick.tools.workspace import File, NoSuchFile, NoSuchTree, TooMuch, Workspaces

__all__ = [
    "COMMANDS",
    "Author",
    "BadPatch",
    "BadPath",
    "Checkouts",
    "CredentialRefused",
    "Credentials",
    "Facts",
    "File",
    "FileTools",
    "GitTools",
    "Implementation",
    "InvalidFunction",
    "NoSuchFile",
    "NoSuchTree",
    "Redactor",
    "Repositories",
    "Secret",
    "ShellTool",
    "TooMuch",
    "Tool",
    "Tools",
    "Workspaces",
    "check_path",
    "function_tool",
    "parse_patch",
]
