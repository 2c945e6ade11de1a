"""The types in which columns of others are kept: what Arrow, Spark and the kernels all know."""

from __future__ import annotations

import pyarrow as pa


def stored_type(kind: pa.DataType) -> pa.DataType | None:
    """The type in which a column is kept: one that Arrow, Spark and the kernels all know.

    None for nested columns.
    """
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return stored_type(kind.storage_type)
    if types.is_dictionary(kind):
        return stored_type(kind.value_type)
    if types.is_nested(kind):
        return None
    if types.is_uint64(kind):
        return pa.decimal128(20, 0)
    if types.is_unsigned_integer(kind):
        return pa.int64() if types.is_uint32(kind) else pa.int32()
    if types.is_decimal(kind):
        return kind if types.is_decimal128(kind) else pa.float64()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC")
    if types.is_date(kind):
        return pa.date32()
    if types.is_duration(kind):
        return pa.int64()
    kept = (types.is_boolean, types.is_integer, types.is_floating)
    return kind if any(known(kind) for known in kept) else pa.string()


def stored_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Columns in the types of :func:`stored_type`."""
    columns = [_stored(table.column(i), f.type) for i, f in enumerate(schema)]
    return pa.Table.from_arrays(columns, schema=schema)


def _stored(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([c.storage for c in column.chunks], column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type == kind:
        return column
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(kind)
    if _is_bytes(column.type):
        texts = [None if value is None else value.hex() for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if pa.types.is_duration(column.type):
        return column.cast(pa.int64())
    return column.cast(kind, safe=False)


def _is_bytes(kind: pa.DataType) -> bool:
    known = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(one(kind) for one in known)
