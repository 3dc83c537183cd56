"""Everything that can go wrong, as one tree.

.. code-block:: text

    DifyError
    ├── UsageError                  the program uses the client wrongly
    │   ├── ConfigurationError          no key, bad base URL, bad setting
    │   ├── InvalidInputs               inputs that cannot be sent
    │   ├── TableError                  a table that cannot be read or written
    │   ├── ClientClosed                used after aclose()
    │   ├── WrongLoop                   used in another loop or process
    │   ├── StreamBusy                  a second consumer of one stream
    │   ├── NotRelayed                  no such run at a relay hub
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
    │   ├── BadRequest                  400, 412
    │   │   ├── InvalidParam                invalid_param
    │   │   ├── NotWorkflowApp              not_workflow_app
    │   │   ├── AppUnavailable              app_unavailable
    │   │   ├── ProviderNotInitialized      provider_not_initialize
    │   │   ├── ProviderQuotaExceeded       provider_quota_exceeded
    │   │   ├── ModelNotSupported           model_currently_not_support
    │   │   ├── CompletionRequestFailed     completion_request_error
    │   │   ├── WorkflowRequestFailed       workflow_request_error
    │   │   ├── SpeechToTextUnavailable     the app or its model cannot hear
    │   │   ├── InvalidUpload               no file, several, or one without a name
    │   │   ├── InvalidFormData             invalid_form_data: try again
    │   │   └── FormClosed                  412: too late
    │   │       ├── FormSubmitted               answered already
    │   │       └── FormExpired                 not answered in time
    │   ├── Unauthorized                401
    │   ├── Forbidden                   403
    │   │   ├── ExecutionNotAllowed         this workflow, or this version of it
    │   │   └── FileAccessDenied            somebody else's file
    │   ├── NotFound                    404
    │   │   ├── RunNotFound                 no such run
    │   │   ├── FileNotFound                no such file
    │   │   └── EndUserNotFound             no such end user
    │   ├── FileTooLarge                413
    │   ├── UnsupportedFileType         415, or a blocked extension
    │   ├── TooManyRequests             429, or the 400 of a busy app
    │   ├── QuotaExceeded               429 rate_limit_error
    │   └── ServerError                 5xx
    │       ├── GatewayError                502, 503, 504, 524
    │       └── PluginFailed                502 plugin_runtime_error
    ├── RunError                    the run began and did not succeed
    │   ├── RunFailed                   a node failed
    │   ├── RunStopped                  stopped, by us or by others
    │   ├── RunPaused                   waits for a person
    │   ├── OutputsMismatch             not of the class asked for
    │   ├── RunInterrupted              the stream broke; it may still run
    │   └── RunStateUnknown             nobody knows whether it began
    ├── RunEnded                    ended before what was waited for
    ├── TooManyFailures             a batch was ended since so many rows failed
    ├── ClusterUnavailable          no cluster, or no workers in it
    └── JournalError                the journal of a batch
        ├── JournalUnavailable          cannot be reached, read or written
        ├── NotAJournal                 something else is there
        ├── JournalTooNew               made by a later version
        ├── JournalMismatch             of another batch
        └── LeaseLost                   a row that is somebody else's by now

Every error carries ``message``, ``status``, ``code``, ``run_id``, ``task_id``,
``request``, ``headers``, ``retry_after`` and ``safe_to_repeat``; what is not known is
None. None of them holds the API key, and all of them pickle.

Beside the tree stands `InsecureConnectionWarning`, which is no error.
"""

from __future__ import annotations

from ._api import (
    APIError,
    AppUnavailable,
    BadRequest,
    CompletionRequestFailed,
    EndUserNotFound,
    ExecutionNotAllowed,
    FileAccessDenied,
    FileNotFound,
    FileTooLarge,
    Forbidden,
    FormClosed,
    FormExpired,
    FormSubmitted,
    GatewayError,
    InvalidFormData,
    InvalidParam,
    InvalidUpload,
    ModelNotSupported,
    NotFound,
    NotWorkflowApp,
    PluginFailed,
    ProviderNotInitialized,
    ProviderQuotaExceeded,
    QuotaExceeded,
    RunNotFound,
    ServerError,
    SpeechToTextUnavailable,
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
    InsecureConnectionWarning,
    InvalidInputs,
    NotRelayed,
    StreamBusy,
    TableError,
    UsageError,
    WrongLoop,
)
from ._cluster import ClusterUnavailable
from ._journal import (
    JournalError,
    JournalMismatch,
    JournalTooNew,
    JournalUnavailable,
    LeaseLost,
    NotAJournal,
)
from ._runs import (
    OutputsMismatch,
    RunEnded,
    RunError,
    RunFailed,
    RunInterrupted,
    RunPaused,
    RunStateUnknown,
    RunStopped,
    TooManyFailures,
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
    "ClusterUnavailable",
    "CompletionRequestFailed",
    "ConfigurationError",
    "ConnectTimeout",
    "ConnectionFailed",
    "ConnectionLost",
    "DifyError",
    "EndUserNotFound",
    "ExecutionNotAllowed",
    "FileAccessDenied",
    "FileNotFound",
    "FileTooLarge",
    "FirstByteTimeout",
    "Forbidden",
    "FormClosed",
    "FormExpired",
    "FormSubmitted",
    "GatewayError",
    "IdleTimeout",
    "InsecureConnectionWarning",
    "InvalidFormData",
    "InvalidInputs",
    "InvalidParam",
    "InvalidUpload",
    "JournalError",
    "JournalMismatch",
    "JournalTooNew",
    "JournalUnavailable",
    "LeaseLost",
    "ModelNotSupported",
    "NotAJournal",
    "NotFound",
    "NotRelayed",
    "NotWorkflowApp",
    "OutputsMismatch",
    "PluginFailed",
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
    "SpeechToTextUnavailable",
    "StreamBusy",
    "TableError",
    "Timeout",
    "TooLarge",
    "TooManyFailures",
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
