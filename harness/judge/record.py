"""What all records of a results folder have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Record(BaseModel):
    """A frozen record; fields that a later harness added are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")
