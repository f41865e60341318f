"""Floor 6: the tool host, with files, git, HTTP, the sandboxed shell and users' own functions; it holds the credentials."""

from bailiwick.tools.addresses import Address, BadAddress, may_be_reached, parse_address, parse_site
from bailiwick.tools.checkout import Checkouts
from bailiwick.tools.credentials import CredentialRefused, Credentials, Redactor, Secret
from bailiwick.tools.egress import Cut, Egress, EgressRefused, Incoming, Outgoing, Resolver, Unreached
from bailiwick.tools.files import FileTools
from bailiwick.tools.functions import InvalidFunction, function_tool
from bailiwick.tools.git import GitTools
from bailiwick.tools.host import Facts, Implementation, Tool, Tools
from bailiwick.tools.http_tools import HttpTools
from bailiwick.tools.patch_parser import BadPatch, parse_patch
from bailiwick.tools.paths import BadPath, check_path
from bailiwick.tools.repository import Author, Repositories
from bailiwick.tools.shell import COMMANDS, ShellTool
from bailiwick.tools.workspace import File, NoSuchFile, NoSuchTree, TooMuch, Workspaces

__all__ = [
    "COMMANDS",
    "Address",
    "Author",
    "BadAddress",
    "BadPatch",
    "BadPath",
    "Checkouts",
    "CredentialRefused",
    "Credentials",
    "Cut",
    "Egress",
    "EgressRefused",
    "Facts",
    "File",
    "FileTools",
    "GitTools",
    "HttpTools",
    "Implementation",
    "Incoming",
    "InvalidFunction",
    "NoSuchFile",
    "NoSuchTree",
    "Outgoing",
    "Redactor",
    "Repositories",
    "Resolver",
    "Secret",
    "ShellTool",
    "TooMuch",
    "Tool",
    "Tools",
    "Unreached",
    "Workspaces",
    "check_path",
    "function_tool",
    "may_be_reached",
    "parse_address",
    "parse_patch",
    "parse_site",
]
