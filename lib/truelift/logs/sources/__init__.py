"""Raw sources: each format is one module that plans units and reads a unit as text.

A format is a row (:class:`~truelift.logs.sources.file_format.FileFormat`) of the registry
:data:`truelift.logs.sources.registry.FORMATS`.
"""
