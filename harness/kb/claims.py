"""The claims of KB301529 and where in the article each stands."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import DefinitionError
from harness.words import Answer, Method, chain_name


class Claim(BaseModel):
    """One thing that the article states about one row and column of one table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    section: str
    table: str
    row: str
    column: str
    answer: Answer
    statement: str
    methods: tuple[Method, ...]
    novice: tuple[str, ...]
    expert: tuple[str, ...]

    @property
    def source(self) -> str:
        """Where the article says it: section, table, row and column."""
        return f"{self.section}, {self.table}, row {self.row}, column {self.column}"

    @property
    def scenario_ids(self) -> tuple[str, ...]:
        """The scenarios that test it, one for each method."""
        chains = f"{chain_name(self.novice)}+{chain_name(self.expert)}"
        return tuple(f"{method}/{chains}" for method in self.methods)


class Table(BaseModel):
    """One of the article's tables: its rows and columns in the article's order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    section: str
    methods: tuple[Method, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    claims: Annotated[tuple[Claim, ...], Field(alias="claim")]

    def cell(self, row: str, column: str) -> Claim:
        """Return the claim of one cell; KeyError where the article has none."""
        for claim in self.claims:
            if (claim.row, claim.column) == (row, column):
                return claim
        raise KeyError((row, column))


class _Tables(BaseModel):
    """The shape of ``tables.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: tuple[Table, ...]


@cache
def load_tables() -> tuple[Table, ...]:
    """Read the article's tables from the package's own data.

    Raises:
        DefinitionError: the data file is not what the schema says.
    """
    text = resources.files("harness.kb").joinpath("tables.toml").read_text(encoding="utf-8")
    try:
        return _Tables.model_validate(tomllib.loads(text)).table
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise DefinitionError(f"harness/kb/tables.toml: {error}") from error


def claim_for(method: Method, novice: tuple[str, ...], expert: tuple[str, ...]) -> Claim | None:
    """Return what the tables say of a scenario, or None where they are silent."""
    for table in load_tables():
        for claim in table.claims:
            if method in claim.methods and (claim.novice, claim.expert) == (novice, expert):
                return claim
    return None
