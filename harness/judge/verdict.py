"""From answers to a verdict, and from verdicts to the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.errors import ExitCode
from harness.judge.evidence import LEFT_OVER
from harness.judge.model import Control, Documented, Observed, ScenarioResult, Summary
from harness.words import Answer, Verdict


def judge(
    documented: Documented | None, observed: Observed, controls: Sequence[Control]
) -> tuple[Verdict, str]:
    """Compare one scenario's answers; return the verdict and the reason in one line.

    A failed control makes the scenario ``invalid`` whatever was observed: a lab that is not what
    its definition says proves nothing, neither a "Yes" nor a "No".
    """
    for control in controls:
        if not control.passed:
            return Verdict.INVALID, (
                f"control {control.name} failed at {control.node}: {control.detail} "
                f"(observed {observed.answer})"
            )
    reason = explain(observed)
    if documented is None or documented.answer is Answer.DEPENDS:
        return Verdict.UNDOCUMENTED, reason
    if documented.answer == observed.answer:
        return Verdict.AGREES, reason
    return (
        Verdict.DIFFERS,
        f"documented {documented.answer}, observed {observed.answer}: {reason}",
    )


def explain(observed: Observed) -> str:
    """Say in one line what the packets did."""
    if observed.winner is not None:
        winner = observed.winner
        left = [line for line in observed.told if line.startswith(LEFT_OVER)]
        return "; ".join(
            [f"the {winner.dialler} connected to {winner.address}:{winner.port}", *left]
        )
    if not observed.attempts:
        return "nobody had an address to dial"
    ends = (
        f"{attempt.dialler} to {attempt.address}:{attempt.port} {attempt.how}"
        for attempt in observed.attempts
    )
    return "; ".join([*ends, *observed.told])


def summarize(scenarios: Iterable[ScenarioResult]) -> Summary:
    """Count the verdicts."""
    counts = Counter(scenario.verdict.value for scenario in scenarios)
    return Summary(**counts)


def contradicts_prediction(result: ScenarioResult) -> bool:
    """Say whether the packets did something else than the model of devices and methods.

    An invalid scenario's packets prove nothing, against the model neither.
    """
    return (
        result.predicted is not None
        and result.observed is not None
        and result.verdict is not Verdict.INVALID
        and result.predicted.answer != result.observed.answer
    )


def exit_code(scenarios: Iterable[ScenarioResult]) -> ExitCode:
    """Turn the results into the command's exit code: a difference outranks a missing proof.

    A difference is one from the article or from the prediction.
    """
    results = list(scenarios)
    verdicts = {result.verdict for result in results}
    if Verdict.DIFFERS in verdicts or any(map(contradicts_prediction, results)):
        return ExitCode.DIFFERS
    if verdicts & {Verdict.INVALID, Verdict.ERROR}:
        return ExitCode.UNPROVEN
    return ExitCode.AGREES
