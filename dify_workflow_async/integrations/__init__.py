"""Small faces for web frameworks: a client for the life of an application, answers.

`dify_workflow_async.integrations.aiohttp_web` needs nothing more;
`dify_workflow_async.integrations.starlette`, also for FastAPI, needs the extra
``starlette``.
"""

__all__: list[str] = []
