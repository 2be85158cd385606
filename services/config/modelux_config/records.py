"""Rows to protobuf records and to the JSON of audit entries. Columns carry the names of the fields they fill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

Row = Mapping[str, object]


def fill(kind: type[M], row: Row) -> M:
    """A record of `kind` from the row's columns of the same names; NULL and absent columns stay unset."""
    names = [field.name for field in kind.DESCRIPTOR.fields]
    return kind(**{name: row[name] for name in names if row.get(name) is not None})


def canonical(value: object) -> str:
    """JSON that is equal for equal values: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def as_json(record: Message | None) -> str:
    """A record as it stands in the audit log; "" for none. Records never hold secrets or hashes of keys."""
    if record is None:
        return ""
    return canonical(MessageToDict(record, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
