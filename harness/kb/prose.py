"""What KB301529 says outside its tables, where it contradicts them, and what it leaves open."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import DefinitionError
from harness.kb.claims import load_tables
from harness.kb.variant import Variant
from harness.words import Answer, Method, chain_name, read_chain


class _Data(BaseModel):
    """A frozen piece of the article's prose."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Bound(_Data):
    """A scenario that tests a statement, and what the statement expects of it.

    ``condition`` says in words what has to hold for the answer, where the statement has one.
    """

    method: Method
    novice: tuple[str, ...]
    expert: tuple[str, ...]
    expected: Literal[Answer.YES, Answer.NO]
    condition: str = ""
    options: Variant = Variant()

    @property
    def id(self) -> str:
        """``METHOD/NOVICE+EXPERT`` and what the scenario's variant adds."""
        chains = f"{chain_name(self.novice)}+{chain_name(self.expert)}"
        return f"{self.method}/{chains}{self.options.suffix}"


class Statement(_Data):
    """One thing that one sentence states, in other words than the article's.

    ``sentence`` counts the sentences of the section from 1. ``hedge`` is the word by which the
    article leaves its answer open, or nothing.
    """

    id: str
    section: str
    sentence: int
    statement: str
    answer: Answer
    hedge: str = ""
    scenarios: tuple[Bound, ...]

    @property
    def source(self) -> str:
        """Where the article says it: section and sentence."""
        return f"{self.section}, sentence {self.sentence}"


class Contradiction(_Data):
    """A statement and a claim that do not both hold as they are written.

    ``prose`` and ``table`` are the ids of the two, ``says`` has what each says, ``scenarios`` the
    ids of those that show what real packets do, ``reading`` the only reading under which both hold.
    """

    id: str
    prose: str
    table: str
    says: tuple[str, str]
    scenarios: tuple[str, ...]
    reading: str


class Gap(_Data):
    """What the article leaves open; here the scenarios expect what the mechanism makes of it."""

    id: str
    section: str
    silent: str
    scenarios: tuple[Bound, ...]


class _Case(_Data):
    """The scenarios of one condition, as the file has them: by their ids."""

    condition: str = ""
    expected: Literal[Answer.YES, Answer.NO]
    scenarios: tuple[str, ...]

    def bound(self) -> Iterator[Bound]:
        for name in self.scenarios:
            yield _read_scenario(name, self)


class _StatementEntry(_Data):
    """A statement as the file has it."""

    id: str
    section: str
    sentence: Annotated[int, Field(ge=1)]
    statement: str
    answer: Answer
    hedge: str = ""
    case: tuple[_Case, ...]

    def read(self) -> Statement:
        return Statement(
            id=self.id,
            section=self.section,
            sentence=self.sentence,
            statement=self.statement,
            answer=self.answer,
            hedge=self.hedge,
            scenarios=_scenarios(self.case),
        )


class _GapEntry(_Data):
    """A gap as the file has it."""

    id: str
    section: str
    silent: str
    case: tuple[_Case, ...]

    def read(self) -> Gap:
        return Gap(
            id=self.id,
            section=self.section,
            silent=self.silent,
            scenarios=_scenarios(self.case),
        )


class _Prose(_Data):
    """The shape of ``prose.toml``."""

    statement: tuple[_StatementEntry, ...]
    contradiction: tuple[Contradiction, ...]
    gap: tuple[_GapEntry, ...]


def load_prose() -> tuple[Statement, ...]:
    """Return the statements of the article's prose, in its order.

    Raises:
        DefinitionError: the data file is not what the schema says.
    """
    return _load()[0]


def load_contradictions() -> tuple[Contradiction, ...]:
    """Return where prose and tables do not both hold as written.

    Raises:
        DefinitionError: the data file is not what the schema says.
    """
    return _load()[1]


def load_gaps() -> tuple[Gap, ...]:
    """Return what the article leaves open.

    Raises:
        DefinitionError: the data file is not what the schema says.
    """
    return _load()[2]


def prose_scenarios() -> tuple[Bound, ...]:
    """Return each scenario that a statement or a gap is bound to once, in the article's order."""
    distinct: dict[str, Bound] = {}
    parts: list[Statement | Gap] = [*load_prose(), *load_gaps()]
    for part in parts:
        for bound in part.scenarios:
            distinct.setdefault(bound.id, bound)
    return tuple(distinct.values())


def statements_for(scenario_id: str) -> tuple[Statement, ...]:
    """Return the statements that a scenario tests."""
    return tuple(
        statement
        for statement in load_prose()
        if any(bound.id == scenario_id for bound in statement.scenarios)
    )


def source_of(identity: str) -> str:
    """Say where in the article a claim or a statement stands; KeyError where there is none such."""
    sources = {claim.id: claim.source for table in load_tables() for claim in table.claims}
    sources |= {statement.id: statement.source for statement in load_prose()}
    return sources[identity]


@cache
def _load() -> tuple[tuple[Statement, ...], tuple[Contradiction, ...], tuple[Gap, ...]]:
    text = resources.files("harness.kb").joinpath("prose.toml").read_text(encoding="utf-8")
    try:
        prose = _Prose.model_validate(tomllib.loads(text))
        statements = tuple(entry.read() for entry in prose.statement)
        gaps = tuple(entry.read() for entry in prose.gap)
    except ValueError as error:  # of which TOMLDecodeError and ValidationError are kinds
        raise DefinitionError(f"harness/kb/prose.toml: {error}") from error
    return statements, prose.contradiction, gaps


def _scenarios(cases: tuple[_Case, ...]) -> tuple[Bound, ...]:
    return tuple(bound for case in cases for bound in case.bound())


def _read_scenario(name: str, case: _Case) -> Bound:
    """Read an id of the file; ValueError where it is not written as :attr:`Bound.id` writes it."""
    method, _, rest = name.partition("/")
    chains, at, options = rest.partition("@")
    novice, _, expert = chains.partition("+")
    bound = Bound(
        method=Method(method),
        novice=read_chain(novice),
        expert=read_chain(expert),
        expected=case.expected,
        condition=case.condition,
        options=Variant.read(at + options),
    )
    if bound.id != name:
        raise ValueError(f"{name} is not a scenario's id: {bound.id} is")
    return bound
