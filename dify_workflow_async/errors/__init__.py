"""Everything that can go wrong, as one tree.

.. code-block:: text

    DifyError
    ├── UsageError                  the program uses the client wrongly
    │   ├── ConfigurationError          no key, bad base URL, bad setting
    │   ├── InvalidInputs               inputs that cannot be sent
    │   ├── ClientClosed                used after aclose()
    │   ├── WrongLoop                   used in another loop or process
    │   ├── StreamBusy                  a second consumer of one stream
    │   └── CannotStop                  no task id to stop by
    ├── TransportError              the network, or what stands in it
    │   ├── ConnectionFailed            never connected: nothing was sent
    │   ├── ConnectionLost              broke while in use
    │   ├── Timeout                     also a builtin TimeoutError
    │   │   ├── ConnectTimeout
    │   │   ├── FirstByteTimeout
    │   │   ├── IdleTimeout
    │   │   ├── TotalTimeout
    │   │   └── WaitTimeout                 Dispatcher.wait_for()
    │   └── ProtocolError               what came is not Dify's API
    │       ├── UnexpectedAnswer            HTML, a redirect, not a stream
    │       └── TooLarge                    an event or body over its limit
    ├── APIError                    the server said no
    │   ├── BadRequest                  400
    │   │   ├── InvalidParam                invalid_param
    │   │   ├── NotWorkflowApp              not_workflow_app
    │   │   ├── AppUnavailable              app_unavailable
    │   │   ├── ProviderNotInitialized      provider_not_initialize
    │   │   ├── ProviderQuotaExceeded       provider_quota_exceeded
    │   │   ├── ModelNotSupported           model_currently_not_support
    │   │   ├── CompletionRequestFailed     completion_request_error
    │   │   └── WorkflowRequestFailed       workflow_request_error
    │   ├── Unauthorized                401
    │   ├── Forbidden                   403
    │   ├── NotFound                    404
    │   │   └── RunNotFound                 no such run
    │   ├── FileTooLarge                413
    │   ├── UnsupportedFileType         415
    │   ├── TooManyRequests             429, or the 400 of a busy app
    │   ├── QuotaExceeded               429 rate_limit_error
    │   └── ServerError                 5xx
    │       └── GatewayError                502, 503, 504, 524
    ├── RunError                    the run began and did not succeed
    │   ├── RunFailed                   a node failed
    │   ├── RunStopped                  stopped, by us or by others
    │   ├── RunPaused                   waits for a person
    │   ├── RunInterrupted              the stream broke; it may still run
    │   └── RunStateUnknown             nobody knows whether it began
    └── RunEnded                    ended before what was waited for

Every error carries ``message``, ``status``, ``code``, ``run_id``, ``task_id``,
``request``, ``headers``, ``retry_after`` and ``safe_to_repeat``; what is not known is
None. None of them holds the API key, and all of them pickle.
"""

from __future__ import annotations

from ._api import (
    APIError,
    AppUnavailable,
    BadRequest,
    CompletionRequestFailed,
    FileTooLarge,
    Forbidden,
    GatewayError,
    InvalidParam,
    ModelNotSupported,
    NotFound,
    NotWorkflowApp,
    ProviderNotInitialized,
    ProviderQuotaExceeded,
    QuotaExceeded,
    RunNotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    UnsupportedFileType,
    WorkflowRequestFailed,
)
from ._base import (
    CannotStop,
    ClientClosed,
    ConfigurationError,
    DifyError,
    InvalidInputs,
    StreamBusy,
    UsageError,
    WrongLoop,
)
from ._runs import (
    RunEnded,
    RunError,
    RunFailed,
    RunInterrupted,
    RunPaused,
    RunStateUnknown,
    RunStopped,
)
from ._transport import (
    ConnectionFailed,
    ConnectionLost,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    ProtocolError,
    Timeout,
    TooLarge,
    TotalTimeout,
    TransportError,
    UnexpectedAnswer,
    WaitTimeout,
)


__all__ = [
    "APIError",
    "AppUnavailable",
    "BadRequest",
    "CannotStop",
    "ClientClosed",
    "CompletionRequestFailed",
    "ConfigurationError",
    "ConnectTimeout",
    "ConnectionFailed",
    "ConnectionLost",
    "DifyError",
    "FileTooLarge",
    "FirstByteTimeout",
    "Forbidden",
    "GatewayError",
    "IdleTimeout",
    "InvalidInputs",
    "InvalidParam",
    "ModelNotSupported",
    "NotFound",
    "NotWorkflowApp",
    "ProtocolError",
    "ProviderNotInitialized",
    "ProviderQuotaExceeded",
    "QuotaExceeded",
    "RunEnded",
    "RunError",
    "RunFailed",
    "RunInterrupted",
    "RunNotFound",
    "RunPaused",
    "RunStateUnknown",
    "RunStopped",
    "ServerError",
    "StreamBusy",
    "Timeout",
    "TooLarge",
    "TooManyRequests",
    "TotalTimeout",
    "TransportError",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsupportedFileType",
    "UsageError",
    "WaitTimeout",
    "WorkflowRequestFailed",
    "WrongLoop",
]
