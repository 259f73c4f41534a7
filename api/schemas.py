"""JSON Schemas of the messages, made from the same types that encode them."""

from typing import Any

import msgspec

from api.messages import AlarmPage, BedView, Problem, Service, StripView, Ward

REST_TYPES = (Ward, BedView, StripView, AlarmPage, Service, Problem)


def components(*types: type) -> dict[str, Any]:
    """Name → JSON Schema of ``types`` and all that they hold."""
    return msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")[1]


def answers(kind: type, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """What FastAPI writes into the OpenAPI document about an answer of ``kind``."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {
        status: {
            "description": (kind.__doc__ or "").splitlines()[0],
            "content": {"application/json": {"schema": schema}},
        }
    }
