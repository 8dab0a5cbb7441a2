"""Names that other people's YAML, Git repositories and dashboards depend on. They never change."""

from __future__ import annotations

from typing import Final

GROUP: Final = "clientorg.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "clientorg"
"""`kubectl get clientorg` lists every kind. Not `all`: `kubectl delete all --all` must not reach clients."""

FIELD_MANAGER: Final = "clientorg-operator"
FINALIZER: Final = f"{GROUP}/workspace"
POOL_FINALIZER: Final = f"{GROUP}/in-use"

LABEL_ORG_ID: Final = f"{GROUP}/org-id"
LABEL_AGENCY: Final = f"{GROUP}/agency"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"

ANNOTATION_CONFIRM_DELETION: Final = f"{GROUP}/confirm-deletion"
"""On an object about to be deleted; its value is the object's own name (FEATURES Z10)."""
ANNOTATION_OWNER: Final = f"{GROUP}/owner"
"""On a workspace namespace: `<agency namespace>/<client name>`, for people."""
ANNOTATION_OWNER_UID: Final = f"{GROUP}/owner-uid"
"""On a workspace namespace: UID of its ClientOrg. A namespace with another UID is never adopted (Z3)."""
MAX_REQUEST: Final = 256
"""Characters of a request by annotation that its answer in the status repeats."""
ANNOTATION_RECONCILE: Final = f"{GROUP}/reconcile-requested-at"
"""Any new value asks for a full pass, also of what seems unchanged (as Flux's `reconcile.fluxcd.io`)."""
ANNOTATION_BLUEPRINT_DIGEST: Final = f"{GROUP}/blueprint-digest"
"""On an object from a plan's blueprint: digest of what was applied."""
ANNOTATION_RESEND: Final = f"{GROUP}/resend-notification"
"""`<key or kind>@<anything new>`: asks to send a message of the outbox again (FEATURES S4)."""
ANNOTATION_PAYMENT_LINK: Final = f"{GROUP}/payment-link-requested-at"
"""Any new value asks for a new payment link to be mailed to the contact (FEATURES A3)."""
ANNOTATION_SUSPENDED: Final = f"{GROUP}/suspended-by-pause"
"""On a Job or CronJob that a pause suspended: the object's own UID, so that a copy is not taken for it."""
ANNOTATION_RESUMED: Final = f"{GROUP}/resumed-at"
"""On a controller that was woken after a resume."""
LABEL_PAUSED: Final = f"{GROUP}/paused"
"""On a workspace's namespace while it is paused, and until a resume is finished."""
ANNOTATION_TRANSFER: Final = f"{GROUP}/transfer-from"
"""On the receiver of a move of licenses: `<source>/<license>/<source's new quantity>/<own new quantity>`."""
ANNOTATION_ORDER: Final = f"{GROUP}/order"
"""On a ClientOrg that was made from an order: name of the Subscription, so that it is made once."""

ANNOTATION_RESTORE: Final = f"{GROUP}/restore-org-id"
"""On a client from a backup: the Org ID that it had. Takes the verb `restore`, and only counts at its creation."""
ANNOTATION_RESTORED_DECISION: Final = f"{GROUP}/restored-decision-time"
"""On an OrgApproval from a backup: when it was decided. Takes the verb `restore` on the client, and stands for good."""
ANNOTATION_HOLD: Final = f"{GROUP}/hold"
"""Its value says why nothing of the client may run; a pause that Git does not revert. Takes the verb `hold`."""
MAX_HOLD: Final = 256
"""Characters of that reason."""

MAX_QUANTITY: Final = 2**53
"""Largest integer that every JSON reader keeps exactly."""
MAX_USERS: Final = 1_000_000
"""Contracted users of a client; with the bounds of a plan's prices a charge stays below MAX_QUANTITY."""
MAX_NAMESPACE_LENGTH: Final = 63
ORG_ID_LENGTH: Final = 10
MAX_CLIENT_NAME_LENGTH: Final = MAX_NAMESPACE_LENGTH - ORG_ID_LENGTH - 1
"""The workspace's namespace is `<name>-<orgID>`."""
