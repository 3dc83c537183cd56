"""The process that Dify's engine runs in: the only room that knows ``graphon``.

The server starts it as ``python -m``, sends it messages on its standard input and hears
facts from its standard output. It runs many graphs at a time, each in its own threads,
so that neither they nor the import of the engine ever hold up the server's event loop.
"""

__all__: list[str] = []
