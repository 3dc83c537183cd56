"""The clients that are measured: a module each, with the same interface.

Each has ``TYPED``, which says what the program gets for an event, and a class
``Contender``, an async context manager that is made of the server's address and the
number of streams that will be open at once, and has

``read(inputs, on_text)``
    runs a workflow, calls *on_text* with the text of each ``text_chunk``, and returns
    how many events came.

Each does so as its own documentation shows; limits that the documentation says can be
raised are raised to what the work needs. Those of one environment are imported only
there.
"""
