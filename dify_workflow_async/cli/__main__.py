"""``python -m dify_workflow_async.cli`` is ``dify-workflow``."""

from . import main


main()
