"""The demo: a governed change to a real repository from intent to proof, and the other side of each guard."""

import shlex
import time
from pathlib import Path

from msgspec.structs import replace

from bailiwick.app import App
from bailiwick.base import Refusal
from bailiwick.cli.announce import Announcer
from bailiwick.cli.demo_follow import Follower
from bailiwick.cli.demo_report import heading, report, show_approval
from bailiwick.cli.showing import say
from bailiwick.policy import Principal, PrincipalKind, Role
from bailiwick.ports import Approval
from bailiwick.run import Run, Status
from bailiwick.service import IntentRequest
from bailiwick.stores import write_private
from bailiwick.wiring import Embedded, Settings
from bailiwick.wiring.serving import serving

REQUESTER = "alice"
APPROVER = "bob"
_ENDS = (Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.BLOCKED)


async def play(app: App, settings: Settings, folder: Path, acts: str) -> bool:
    """Play the demo in a folder; run again there, it goes on where it was.

    Args:
        app: The delivery example.
        settings: Where the data lies and which models there are.
        folder: For what the demo leaves behind.
        acts: `1` (the delivery), `2` (the other side of each guard, with a scripted model only) or `all`.

    Returns:
        Whether the change landed and every guard held.
    """
    async with serving(settings, [app]) as (system, _):
        demo = Demo(app, system, folder)
        await demo.identities()
        held = await demo.first_act()
        if held and acts in ("2", "all") and app.model.startswith("scripted:"):
            held = await demo.second_act()
        demo.goodbye()
        return held


class Demo:
    """The two acts."""

    def __init__(self, app: App, system: Embedded, folder: Path) -> None:
        assert app.intent is not None, "the example says what it submits"
        self._intent = app.intent
        self._app = app
        self._system = system
        self._platform = system.platform
        self._folder = folder
        self._announcer = Announcer()
        self._platform.observers.append(self._announcer.observe)
        self._first = ""
        self._approval: Approval | None = None

    async def identities(self) -> None:
        """Find or make the two people: who asks, and who decides."""
        self._alice = await self._person(REQUESTER, Role.OPERATOR, ())
        self._bob = await self._person(APPROVER, Role.APPROVER, self._app.groups)
        admin = Principal("demo", "demo", PrincipalKind.USER, self._system.settings.tenant, Role.ADMIN)
        self._viewer = admin

    async def _person(self, name: str, role: Role, groups: tuple[str, ...]) -> Principal:
        tenant = self._system.settings.tenant
        path = self._system.settings.folder / f"{name}.key"
        keyring = self._platform.keyring
        if path.is_file():
            return keyring.authenticate(path.read_text("utf-8").strip())
        _, secret = await keyring.issue(tenant, name=name, role=role, groups=groups, by="demo")
        write_private(path, f"{secret}\n".encode())
        return keyring.authenticate(secret)

    async def _submit(self, key: str, title: str, branch: str) -> Run:
        given = self._intent
        request = IntentRequest(
            app=self._app.name,
            workflow=given.workflow,
            title=title,
            input={**given.input, "branch": branch},
            constraints=given.constraints,
            budget_usd=given.budget_usd,
            deadline_seconds=given.deadline_seconds,
            labels=given.labels,
        )
        return await self._platform.submitting.submit(self._alice, request, key=key)

    def _follower(self) -> Follower:
        return Follower(self._system, self._viewer, self._announcer)

    async def first_act(self) -> bool:
        """Deliver the change: plan, rules, writing, tests, review, approval, one commit, proof."""
        heading(f"Act 1: {self._intent.title}")
        say(f"  constraints: {'; '.join(self._intent.constraints)}; budget ${self._intent.budget_usd}")
        run = await self._submit("demo-deliver", self._intent.title, self._intent.input["branch"])
        self._first = run.id
        follower = self._follower()
        state, seen = await follower.follow(run.id, _rests)
        if state.status is Status.WAITING_FOR_APPROVAL:
            await self._approve(run.id)
            state, seen = await follower.follow(run.id, _ended, after=seen)
        self._approval = await self._approval_of(run.id)
        if state.status is not Status.COMPLETED:
            say(f"the run is {state.status}: {state.reason}", "bold red")
            return False
        repository = self._system.settings.folder / "repositories" / "orders"
        await report(self._system, self._viewer, run.id, repository, self._folder)
        return True

    async def _approval_of(self, run: str) -> Approval | None:
        listed = await self._platform.approving.list(self._bob, state="", run=run)
        return listed[-1] if listed else None

    async def _approve(self, run: str) -> None:
        approval = await self._approval_of(run)
        assert approval is not None, "a run that waits for approval has a request"
        heading("The run waits; the worker is free. This is what a person sees")
        view = await self._platform.approving.show(self._bob, approval.id)
        show_approval(view, title=self._intent.title)
        say("")
        say(f"{REQUESTER}, who asked for the change, tries to approve it:")
        await self._refused(replace(self._alice, role=Role.APPROVER, groups=self._app.groups), approval)
        say(
            f"{APPROVER}, a second person of the group {', '.join(approval.groups)}, approves exactly this digest."
        )
        await self._platform.approving.decide(self._bob, approval.id, approve=True, digest=approval.digest)

    async def _refused(self, who: Principal, approval: Approval, digest: str = "") -> bool:
        try:
            await self._platform.approving.decide(who, approval.id, approve=True, digest=digest)
        except Refusal as refusal:
            say(f"  refused ({refusal.code}): {refusal.message}", "yellow")
            return True
        say("  it was let through", "bold red")
        return False

    async def second_act(self) -> bool:
        """Show the other side: a broken brief, a cancel in mid-stream, an approval that does not fit."""
        rejected = await self._broken_brief()
        canceled = await self._canceled()
        mismatch = await self._mismatch()
        return rejected and canceled and mismatch

    async def _broken_brief(self) -> bool:
        heading("Act 2a: a brief that drops a constraint is rejected")
        run = await self._submit("demo-broken", "Add a metrics endpoint", "agents/metrics")
        state, _ = await self._follower().follow(run.id, _ended)
        return state.status is Status.FAILED

    async def _canceled(self) -> bool:
        heading("Act 2b: a run is canceled while its model is talking")
        run = await self._submit("demo-canceled", "Write the migration guide", "agents/guide")
        follower = self._follower()

        def talking(state: Run) -> bool:
            return _ended(state) or any(step.startswith("build") for step in follower.spoken)

        state, seen = await follower.follow(run.id, talking)
        if _ended(state):
            return state.status is Status.CANCELED
        asked = time.monotonic()
        await self._platform.control.cancel(self._alice, run.id, "we need no guide")
        state, _ = await follower.follow(run.id, _ended, after=seen)
        say(
            f"  canceled {time.monotonic() - asked:.2f} s after it was asked; the provider's socket is closed"
        )
        return state.status is Status.CANCELED

    async def _mismatch(self) -> bool:
        heading("Act 2c: an approval fits one diff, not another")
        title = "Create FastAPI health endpoint at /alive"
        run = await self._submit("demo-mismatch", title, "agents/alive")
        state, seen = await self._follower().follow(run.id, _rests)
        if state.status is not Status.WAITING_FOR_APPROVAL:
            return state.status is Status.CANCELED
        approval = await self._approval_of(run.id)
        assert approval is not None, "it waits"
        assert self._approval is not None, "act 1 had an approval"
        say(
            f"{APPROVER} presents the approval of act 1 (digest {self._approval.digest[:16]}…) for this diff:"
        )
        first = await self._refused(self._bob, approval, self._approval.digest)
        say(f"{APPROVER} tries to use the approval of act 1 a second time:")
        second = await self._refused(self._bob, self._approval)
        await self._platform.control.cancel(self._alice, run.id, "the demo is over")
        await self._follower().follow(run.id, _ended, after=seen)
        return first and second

    def goodbye(self) -> None:
        """Say what to type next."""
        heading("Next")
        data = shlex.quote(str(self._system.settings.folder))
        say(f"  bailiwick up --data-dir {data}                 # the same system, staying up")
        say(f"  bailiwick runs list --data-dir {data}          # in another terminal")
        say(f"  bailiwick runs events {self._first} --data-dir {data}")
        say("  bailiwick run examples/quickstart.py           # the whole idea in 25 lines")
        say(
            "  bailiwick demo --model openai:NAME             # the same app with a real model (OPENAI_API_KEY)"
        )
        say("Not in this release: the web console, MCP and A2A gateways.")


def _rests(run: Run) -> bool:
    return run.status is Status.WAITING_FOR_APPROVAL or _ended(run)


def _ended(run: Run) -> bool:
    return run.status in _ENDS
