"""What one test has asked for: its errands, their ends, and what its report says of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from harness.judge.model import ScenarioResult
from harness.plugin.asked import BY_HAND, Asked, Defaults, Wanted, one_of
from harness.plugin.errand import Errand, Facts, Helper
from harness.plugin.errors import Broken, Misuse, Unfit
from harness.plugin.steps import Invitation, Lab, Outcome
from harness.report.wording import failed_controls, plain, reason
from harness.words import Method, Role, Verdict

BRING_UP_DEADLINE = 60.0
"""Seconds that a lab has to come up, once its runtime is ready; it takes about 0.2."""

DRAW_DEADLINE = 30.0

_HELPER = pytest.StashKey[Helper]()

_UNPROVEN = (Verdict.INVALID, Verdict.ERROR)


class Desk:
    """The three fixtures' common ground, for one test."""

    def __init__(
        self, item: pytest.Item, defaults: Defaults, temporary: pytest.TempPathFactory
    ) -> None:
        """Begin with nothing."""
        self._item = item
        self._defaults = defaults
        self._temporary = temporary
        self._labs: list[tuple[Errand, Path]] = []
        self._untold: list[Outcome] = []
        self._failed = False

    def scenario(
        self,
        novice: str | None = None,
        expert: str | None = None,
        *,
        method: str | None = None,
        file: str | Path | None = None,
        proxy_client: str | Collection[str] = (),
    ) -> Outcome:
        """Run one method end to end in a new lab; return what came of it.

        Where a control failed, or the harness, nothing was proven: then the test fails here.
        """
        __tracebackhide__ = True
        said = Wanted(novice, expert, file, proxy_client)
        try:
            asked = self._asked("scenario", said, method)
            errand = self._send(asked)
            _, content = errand.hear(None)
        except (Misuse, Unfit, Broken) as error:
            raise _stopped(error) from None
        outcome = self._note(content, asked.folder)
        if outcome.verdict in _UNPROVEN:
            pytest.fail(_unproven(outcome), pytrace=False)
        return outcome

    def lab(
        self,
        novice: str | None = None,
        expert: str | None = None,
        *,
        method: str | None = None,
        file: str | Path | None = None,
        proxy_client: str | Collection[str] = (),
    ) -> Lab:
        """Build a lab; it has passed its controls, and ends with the test.

        Its services are those of the method, by which invitations travel: a file where none is
        named.
        """
        __tracebackhide__ = True
        return self._build("lab", Wanted(novice, expert, file, proxy_client), method)

    def invite(
        self,
        novice: str | None = None,
        expert: str | None = None,
        *,
        inviter: str = Role.NOVICE,
        password: str | None = None,
        minutes: int = 60,
        method: str | None = None,
        file: str | Path | None = None,
        proxy_client: str | Collection[str] = (),
    ) -> Invitation:
        """Build a lab and make an invitation in it; the invitation has the lab."""
        __tracebackhide__ = True
        try:
            role = one_of(inviter, tuple(Role), "invite(): inviter")
        except Misuse as error:
            raise _stopped(error) from None
        lab = self._build("invite", Wanted(novice, expert, file, proxy_client), method)
        return lab.invite(role, password=password, minutes=minutes)

    def close(self) -> None:
        """End the test's labs and write their bundles; fail where one turned out to prove nothing.

        A lab that cannot be ended in order is ended by force, and the others are ended first.
        """
        __tracebackhide__ = True
        complaints = [complaint for each in self._labs if (complaint := self._end(*each))]
        if complaints:
            pytest.fail("\n".join(complaints), pytrace=False)

    def sections(self, report: pytest.TestReport) -> Iterator[tuple[str, str]]:
        """Yield title and text of what a failed test's report has to say, each once."""
        self._failed = self._failed or report.failed
        if not self._failed:
            return
        # pytest shows what belongs to a test's end only where the title says so.
        when = f"{report.when} " if report.when == "teardown" else ""
        for outcome in self._untold:
            yield f"Remote Assistance {when}{outcome.result.id}", self._text(outcome)
        self._untold.clear()

    # --- errands

    def _build(self, do: str, said: Wanted, method: str | None) -> Lab:
        __tracebackhide__ = True
        method = method or self._defaults.method or Method.FILE
        try:
            asked = self._asked(do, said, method)
            errand = self._send(asked)
            errand.hear(None)
            answer, content = errand.hear(BRING_UP_DEADLINE)
        except (Misuse, Unfit, Broken) as error:
            raise _stopped(error) from None
        if "ended" in answer:
            pytest.fail(_unproven(self._note(content, asked.folder)), pytrace=False)
        self._labs.append((errand, Path(asked.folder)))
        nodes: Facts = json.loads(content)
        return Lab(errand, nodes)

    def _end(self, errand: Errand, folder: Path) -> str | None:
        """End a lab; return what is to be complained of, if anything is."""
        if errand.over:
            return None
        errand.tell(do="end")
        try:
            _, content = errand.hear(BRING_UP_DEADLINE)
        except Broken as error:
            return str(error)
        outcome = self._note(content, str(folder))
        return _unproven(outcome) if outcome.verdict in _UNPROVEN else None

    def _asked(self, do: str, said: Wanted, method: str | None) -> Asked:
        asked = self._defaults.errand(do, said, method)
        return replace(asked, folder=str(self._folder()))

    def _send(self, asked: Asked) -> Errand:
        config = self._item.config
        helper = config.stash.get(_HELPER, None)
        if helper is None or not helper.lives:
            helper = config.stash[_HELPER] = Helper()
            config.add_cleanup(helper.close)
        return helper.send(asked)

    def _folder(self) -> Path:
        """Make the folder of an errand's evidence: no other test, worker or run has it."""
        config, name = self._item.config, _folder_name(self._item.nodeid)
        out: Path | None = config.getoption("--ra-out")
        if out is None:
            return self._temporary.mktemp(f"{name}-")
        beside = config.invocation_params.dir / out / name
        try:
            return _first_free(beside)
        except OSError as error:
            raise Misuse(f"--ra-out: {beside} cannot be made: {error.strerror}") from error

    # --- reports

    def _note(self, content: bytes, folder: str) -> Outcome:
        """Keep a result for the report; name its bundle in the test's properties (JUnit)."""
        outcome = Outcome(ScenarioResult.model_validate_json(content), Path(folder))
        self._untold.append(outcome)
        properties = self._item.user_properties
        properties.append(("ra_scenario", outcome.result.id))
        properties.append(("ra_verdict", outcome.verdict.value))
        properties.append(("ra_bundle", str(outcome.bundle)))
        return outcome

    def _text(self, outcome: Outcome) -> str:
        result = outcome.result
        by_hand = result.id.endswith(BY_HAND) and outcome.verdict not in _UNPROVEN
        lines = ["played step by step" if by_hand else f"{outcome.verdict}: {reason(result)}"]
        if result.documented is not None:
            lines.append(
                f"documented {result.documented.answer}: {plain(result.documented.source)}"
            )
        if result.predicted is not None:
            lines.append(f"predicted {result.predicted.answer}: {plain(result.predicted.why)}")
        lines += [f"failed control: {line}" for line in failed_controls(result)]
        if result.observed is not None and result.observed.attempts:
            lines += ["", self._drawn(outcome.bundle)]
        lines += ["", f"bundle: {outcome.bundle}"]
        return "\n".join(lines)

    def _drawn(self, bundle: Path) -> str:
        errand = self._send(Asked(do="draw", folder=str(bundle)))
        try:
            _, content = errand.hear(DRAW_DEADLINE)
        except (Misuse, Unfit, Broken) as error:
            return f"no drawing: {error}"
        return content.decode()


def _stopped(error: Exception) -> BaseException:
    """Return what ends the test as what stopped it asks for."""
    if not isinstance(error, Unfit):
        return pytest.fail.Exception(str(error), pytrace=False)
    text = f"this machine cannot run it: {error}"
    if os.environ.get("CI"):
        return pytest.fail.Exception(f"{text} (where CI is set that is no skip)", pytrace=False)
    return pytest.skip.Exception(text)


def _unproven(outcome: Outcome) -> str:
    return f"{outcome.result.id} proved nothing ({outcome.verdict}): {outcome.why}"


def _first_free(folder: Path) -> Path:
    """Make and return the first of FOLDER/0, FOLDER/1, ... that nobody else has made."""
    return next(path for number in count() if _is_new(path := folder / str(number)))


def _is_new(path: Path) -> bool:
    """Make a folder; say whether it was not there."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def _folder_name(nodeid: str) -> str:
    """Return a test's id as the name of a folder: what is left out is told apart by a digest."""
    digest = hashlib.sha256(nodeid.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', nodeid)[-80:]}-{digest}"
