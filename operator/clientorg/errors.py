"""The one exception tree of the project.

What a library raises is mapped to one of these where the library is called (`clientorg.cluster`),
so that the rules and the commands above deal with Kubernetes answers, not with an HTTP client's.
"""

from __future__ import annotations


class ClientOrgError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigurationError(ClientOrgError):
    """The process cannot run as it was started: a setting, a kubeconfig or a right is wrong."""


class InputError(ClientOrgError):
    """A user's input is wrong; the message names the field, the fault and the remedy."""


class PlanError(ClientOrgError):
    """A plan cannot be carried out for a client; the message names the field, the fault and the remedy."""


class ApiError(ClientOrgError):
    """The API server answered with a failure.

    Attributes:
        code: HTTP status code.
        reason: `Status.reason` of the answer, for example `AlreadyExists`.
        causes: `(field, message)` of each cause the server gave.
        retry_after_seconds: what the server asked to wait before the next try, if it did.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        causes: tuple[tuple[str, str], ...] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after_seconds = retry_after_seconds

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later without anybody's doing (throttling, server faults)."""
        return self.code in (408, 429) or self.code >= 500


class NotFoundError(ApiError):
    """404: the object or the kind does not exist."""


class ForbiddenError(ApiError):
    """403: the rights do not reach, or a policy or quota refuses."""


class NamespaceTerminatingError(ForbiddenError):
    """403: nothing can be created in a namespace that is being deleted."""


class UnauthorizedError(ApiError):
    """401: the credentials are missing, wrong or expired."""


class ConflictError(ApiError):
    """409: the object changed since it was read, or another manager owns the field."""


class AlreadyExistsError(ConflictError):
    """409 AlreadyExists: an object of that name is there."""


class InvalidError(ApiError):
    """400 or 422: the server refuses the object itself; trying again cannot help."""


class GoneError(ApiError):
    """410: the resource version or continue token is too old; list again."""


class UnreachableError(ClientOrgError):
    """No answer from the API server: refused, reset, timed out, or TLS that does not verify."""


class NotificationError(ClientOrgError):
    """A message to a contact or to a webhook could not be made or delivered. Never holds a credential.

    Attributes:
        permanent: trying again cannot help this very message (its address or content is refused). A fault that
            somebody can mend without touching the message (a wrong password, a server that is down) is not permanent.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent
