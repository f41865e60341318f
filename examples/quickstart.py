"""Planner, rules, implementer, reviewer, approval, one commit: `bailiwick run examples/quickstart.py`."""

from pathlib import Path

from bailiwick.app import App

here = Path(__file__).parent
app = App("quickstart", model="scripted:quickstart", recording=here / "quickstart.recording.json")
app.repository("notes", seed={"README.md": "# notes\n"})  # or the path of a repository of yours
app.agent("planner", prompt="You plan.", output={"objective": str, "steps": [str], "constraints": [str]})
app.agent("writer", prompt="You write.", tools=["files.write", "shell.run"], output={"summary": str})
app.agent("reviewer", prompt="You review.", output={"verdict": ["pass", "send-back"], "findings": [str]})

snapshot = {"id": "repo", "uses": "git.snapshot", "input": {"repository": "notes"}}
told = {"brief": "$.brief", "review": "$.previous.review.output?"}
write = {"id": "write", "uses": "writer", "input": told}
diff = {"id": "diff", "uses": "git.diff", "input": {"base": "$.context.repo.tree"}}
patch = "$.steps.diff.output.patch"
review = {"id": "review", "uses": "reviewer", "reviews": patch, "input": {"diff": "$.steps.diff.output.text"}}
until_passed = {"until": "steps.review.output.verdict == 'pass'", "max": 2}
build = {"id": "build", "repeat": until_passed, "do": [write, diff, review]}
commit = {"repository": "notes", "base": "$.context.repo.base", "patch": patch, "branch": "agents/slug"}
apply = {"id": "apply", "uses": "git.apply", "input": {**commit, "message": "$.brief.objective"}}
app.workflow("write-code", planner="planner", context=[snapshot], steps=[build, apply])
app.on_run("write-code", "Write a slug function", constraints=["Single file only"], budget_usd="0.20")
