"""The JSON Schema of ``results.json``, made from the model that reads and writes it."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from harness.judge.model import SCHEMA, Results
from harness.report.docs.fields import FIELDS

SCHEMA_ID: Final = f"urn:ra-harness:results.schema:{SCHEMA}"
"""The schema's ``$id``: a name, not an address. It changes with the layout's number only."""

_TITLE: Final = "results.json of ra-harness"
_DESCRIPTION: Final = (
    "What one run of the connection scenarios of KB301529 came to. Fields may be added; none is "
    "renamed or removed without raising `schema`. Readers pass over fields they do not know."
)


class _Published(GenerateJsonSchema):
    """Draft 2020-12 without a title for every field, which would be its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base's signature
        return False

    def generate(
        self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation"
    ) -> JsonSchemaValue:
        made = super().generate(schema, mode)
        return {
            "$schema": self.schema_dialect,
            "$id": SCHEMA_ID,
            **made,
            "title": _TITLE,
            "description": _DESCRIPTION,
        }


def results_schema() -> str:
    """Return the schema as indented JSON: what :func:`read_results` takes, in draft 2020-12."""
    schema = Results.model_json_schema(by_alias=True, schema_generator=_Published)
    for name, record in [(Results.__name__, schema), *schema["$defs"].items()]:
        if "description" in record:
            record["description"] = _prose(record["description"])
        for key, field in record.get("properties", {}).items():
            if f"{name}.{key}" in FIELDS:
                field["description"] = FIELDS[f"{name}.{key}"]
    return json.dumps(schema, indent=1) + "\n"


def _prose(docstring: str) -> str:
    """Return a docstring as plain text on one line."""
    return " ".join(docstring.replace("``", "`").split())
