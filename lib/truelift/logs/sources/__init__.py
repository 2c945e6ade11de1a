"""Raw sources: each format is one module that plans units and reads a unit as text.

To add a format, write a module with ``header(file, options)``, ``units(file, source_file,
batch_id, options)`` and ``read(unit)``, and name it in :data:`truelift.logs.sources.registry.FORMATS`.
"""
