"""`payment-link`: the link by which a client completes its payment details, printed or mailed (FEATURES A3).

Printing takes the right to read the signing keys, and so the user's own. Mailing takes the right to patch the client
and no more: the operator makes the link, and whoever asks for it never sees it (docs/payment-links.md).
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.api.meta import ANNOTATION_PAYMENT_LINK
from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.options import DataOutput, DryRun, DryRunFlag, OutputFlag, Target, WaitFlag
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.table import as_document
from clientorg.cli.terminal import note, say
from clientorg.cli.text import plain
from clientorg.cli.waiting import parse_wait
from clientorg.errors import ClientOrgError, ForbiddenError, InputError, NotFoundError

if TYPE_CHECKING:
    from clientorg.api.paymentlink import PaymentLink
    from clientorg.cli.session import Session
    from clientorg.domain.paymentlink import Keys, Link

Json = dict[str, Any]


@command(
    "payment-link",
    examples="""
    # Print a link, to be handed on by a way of your own; takes the right to read the plan's signing keys
    $ acme
    # Have it mailed to the client's contact, in the contact's language, and wait until it is sent
    $ acme --mail --wait
    # To whom would it be mailed?
    $ acme --mail --dry-run
    """,
)
async def payment_link(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.")],
    mail: Annotated[bool, typer.Option("--mail", help="Have the operator mail it to the client's contact.")] = False,
    output: OutputFlag = DataOutput.TABLE,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Print a client's link to the payment page, or have it mailed.

    The link is signed for this client alone, for completing its payment details, and for as long as the plan says
    (spec.paymentLink). Whoever has it may use it: hand it on as you would a password.
    """
    seconds = parse_wait(wait)
    if not mail and (seconds is not None or dry_run is not DryRun.NONE):
        flag = "--wait" if seconds is not None else "--dry-run"
        raise InputError(f"{flag}: only with --mail; a link that is printed changes nothing")
    async with connect(target) as session:
        session.warnings.muted_policies.add(LICENSE_WARNINGS)
        if mail:
            await _mail(session, name, seconds, dry_run, output)
        else:
            await _print(session, name, output)


async def _print(session: Session, name: str, output: DataOutput) -> None:
    client, _, terms = await _read(session, name)
    keys = await _keys(session, terms, name)
    link, address = new_link(client, session.namespace, terms, keys, clock.now())
    expires = datetime.fromtimestamp(link.expires, UTC).isoformat().replace("+00:00", "Z")
    if output is DataOutput.TABLE:
        note(f"For {plain(client['spec']['displayName'])}, valid until {expires}. Whoever has it may use it.")
        sys.stdout.write(f"{address}\n")
    else:
        whole = {"name": name, "orgID": link.org_id, "url": address, "id": link.id, "expires": expires}
        sys.stdout.write(as_document(whole, yaml=output is DataOutput.YAML))
    sys.stdout.flush()


def new_link(client: Json, agency: str, terms: PaymentLink, keys: Keys, now: datetime) -> tuple[Link, str]:
    """A link of its own, and its address.

    Raises:
        InputError: the client has no Org ID yet.
    """
    import uuid

    from clientorg.api.paymentlink import TOKEN_VARIABLE
    from clientorg.domain.identity import workspace_namespace
    from clientorg.domain.paymentlink import Link, audience_of, sign
    from clientorg.domain.substitution import substitute
    from clientorg.domain.workspace import Org

    org_id = (client.get("status") or {}).get("orgID")
    if not org_id:
        raise InputError(f"{client['metadata']['name']} has no Org ID yet: the operator has not looked at it")
    name, spec = client["metadata"]["name"], client["spec"]
    org = Org(
        name=name,
        agency=agency,
        uid=client["metadata"]["uid"],
        org_id=org_id,
        namespace=workspace_namespace(name, org_id),
        display_name=spec["displayName"],
        language=spec["contact"].get("language", "en"),
    )
    address = str(substitute(terms.url_template, org.url_variables))
    expires = now + timedelta(hours=terms.valid_hours)
    link = Link(
        agency, org_id, f"{org_id}-{uuid.uuid4()}", audience_of(address), int(now.timestamp()), int(expires.timestamp())
    )
    return link, address.replace(TOKEN_VARIABLE, sign(link, keys))


async def _read(session: Session, name: str) -> tuple[Json, Json, PaymentLink]:
    """The client, its plan, and what that says of payment links.

    Raises:
        InputError: it says nothing.
    """
    from clientorg.api.paymentlink import PaymentLink
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    plan = await session.api.get(ORG_PLANS, session.namespace, client["spec"]["planRef"]["name"])
    terms = plan["spec"].get("paymentLink")
    if terms is None:
        raise InputError(
            f"the plan {plain(plan['metadata']['name'])} has no payment link: set its spec.paymentLink.urlTemplate"
        )
    return client, plan, PaymentLink.model_validate(terms)


async def _keys(session: Session, terms: PaymentLink, name: str) -> Keys:
    from clientorg.cluster.resources import SECRETS
    from clientorg.domain.paymentlink import Keys
    from clientorg.domain.secretdata import texts_of

    try:
        secret = await session.api.get(SECRETS, session.namespace, terms.secret)
    except ForbiddenError as error:
        raise ClientOrgError(
            f"you may not read the Secret {terms.secret}, which signs payment links; have the link mailed instead: "
            f"kubectl clientorg payment-link {plain(name)} --mail"
        ) from error
    except NotFoundError as error:
        raise ClientOrgError(
            f"there is no Secret {terms.secret} in namespace {session.namespace}; make one: kubectl create secret "
            f'generic {terms.secret} -n {session.namespace} --from-literal=k1="$(openssl rand -base64 32)"'
        ) from error
    try:
        return Keys.of(texts_of(secret))
    except ValueError as error:
        raise ClientOrgError(f"Secret {terms.secret}: {error}") from None


async def _mail(session: Session, name: str, seconds: float | None, dry_run: DryRun, output: DataOutput) -> None:
    from clientorg.cli.messagerows import addressees, channels_of
    from clientorg.cluster.resources import CLIENT_ORGS

    client, plan, terms = await _read(session, name)
    if "mail" not in (channels_of(plan) or ()):
        raise InputError(
            f"--mail: the plan {plain(plan['metadata']['name'])} sends no mails: set its spec.notifications.fromAddress"
        )
    # Any new value asks anew, so it is the machine's clock, which never stands still.
    stamp = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if dry_run is not DryRun.CLIENT:
        patch = {"metadata": {"annotations": {ANNOTATION_PAYMENT_LINK: stamp}}}
        only_try = dry_run is DryRun.SERVER
        await session.api.patch(CLIENT_ORGS, session.namespace, name, patch, dry_run=only_try)
    if output is DataOutput.TABLE:
        to = addressees(client, ("mail",))
        say(f"clientorg.clientorg.dev/{name} annotated: payment link, {terms.valid_hours} h, goes {to}{dry_run.suffix}")
    else:
        whole = {"name": name, "request": stamp, "validHours": terms.valid_hours, "dryRun": dry_run.value}
        sys.stdout.write(as_document(whole, yaml=output is DataOutput.YAML))
    sys.stdout.flush()
    if seconds is None or dry_run is not DryRun.NONE:
        return
    await _wait(session, name, stamp, seconds)


async def _wait(session: Session, name: str, stamp: str, seconds: float) -> None:
    from clientorg.cli.waiting import wait_until
    from clientorg.cluster.resources import CLIENT_ORGS

    await wait_until(
        session.api,
        CLIENT_ORGS,
        session.namespace,
        name,
        partial(is_mailed, name, stamp),
        timeout_seconds=seconds,
        what="the payment link to be sent",
        tell=lambda item: _last_error(item) or "the operator has not answered yet (does it run?)",
    )


def is_mailed(name: str, stamp: str, item: Json | None) -> bool:
    """Whether the link that was asked for is sent, once the operator has taken the request up.

    Raises:
        NotReachedError: the client is gone.
        NotSentError: it was refused for good, or no link was made; the client's Events say why.
    """
    from clientorg.api.notifications import DeliveryState, NotificationKind
    from clientorg.cli.exits import NotReachedError
    from clientorg.cli.notifywait import NotSentError

    if item is None:
        raise NotReachedError(f"{name} was deleted meanwhile")
    status = item.get("status") or {}
    if status.get("lastHandledPaymentLink") != stamp:
        return False
    sent = [entry for entry in status.get("outbox") or () if entry["kind"] == NotificationKind.PAYMENT_LINK]
    if not sent or "mail" not in sent[-1]:
        raise NotSentError(f"no link was made; see kubectl get events --field-selector involvedObject.name={name}")
    state = sent[-1]["mail"]["state"]
    if state == DeliveryState.FAILED:
        raise NotSentError(f"the link was not sent: {sent[-1]['mail'].get('lastError', '')}")
    return bool(state == DeliveryState.SENT)


def _last_error(item: Json | None) -> str:
    entries = ((item or {}).get("status") or {}).get("outbox") or ()
    return next((entry.get("mail", {}).get("lastError", "") for entry in reversed(entries)), "")
