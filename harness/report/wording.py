"""The words of one result, safe to show: the terminal, the progress and JUnit share them."""

from __future__ import annotations

from collections.abc import Iterator

from harness.judge.model import Attempt, ScenarioResult
from harness.judge.verdict import contradicts_prediction
from harness.words import Verdict

# Verdicts that a run must not end well with; the order is the order in which a reader needs them.
FINDINGS = (Verdict.DIFFERS, Verdict.INVALID, Verdict.ERROR)


def plain(text: str) -> str:
    r"""Return the text as printable ASCII, every other character as its escape (``\x1b``).

    What a device or a results file says may hold terminal commands, reversed or invisible
    letters, or letters that the terminal's encoding lacks. Shown as escapes they do no harm, and
    they are still there to be seen.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if char.isascii() and char.isprintable()
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def is_finding(result: ScenarioResult) -> bool:
    """Say whether somebody has to look at this scenario."""
    return result.verdict in FINDINGS or contradicts_prediction(result)


def endpoint(address: str, port: int) -> str:
    """Write an address and port as one word, an IPv6 address in brackets."""
    host = f"[{address}]" if ":" in address else address
    return f"{plain(host)}:{port}"


def attempt_line(attempt: Attempt) -> str:
    """Say in one line who dialled what, and how, where and when that ended."""
    where = f" at {plain(attempt.ended_at)}" if attempt.ended_at else ""
    how = f": {plain(attempt.how)}" if attempt.how else ""
    return (
        f"{attempt.dialler} -> {endpoint(attempt.address, attempt.port)}  "
        f"{attempt.end}{where}{how} ({attempt.seconds:.2f} s)"
    )


def failed_controls(result: ScenarioResult) -> Iterator[str]:
    """Say of each failed control, in one line, what it was, where, and what it found."""
    for control in result.controls:
        if not control.passed:
            yield f"{plain(control.name)} at {plain(control.node)}: {plain(control.detail)}"


def reason(result: ScenarioResult) -> str:
    """Say in one line why the scenario has its verdict, and what the model had expected.

    The model is quoted where it adds something: it settles which of two answers that differ is
    the surprising one, and a prediction that failed is a finding of its own.
    """
    why = plain(result.why)
    if result.predicted is None or result.observed is None or not is_finding(result):
        return why
    if not contradicts_prediction(result):
        return f"{why}; predicted {result.predicted.answer} as well"
    model = f"predicted {result.predicted.answer} because {plain(result.predicted.why)}"
    if result.verdict is Verdict.DIFFERS:
        return f"{why}; {model}"
    return f"{model}, but observed {result.observed.answer}: {why}"
