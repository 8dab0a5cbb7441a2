"""What a tenant, support, an agency and another agency may not do, tried on a real API server (DESIGN rule 11).

Each attack is refused, and the audit log says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from clientorg.cluster.resources import CLIENT_ORGS, CONFIG_MAPS
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency
from tests.controlplane.audit import read_events
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.security.attacks import APPROVER, ATTACKS, LOOKER, OTHER, OWNER, TENANT, Attack, Scene, bind
from tests.support.canary import CANARY
from tests.support.kube import Json, Kube, RefusedError

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def scene(cluster: Cluster, api: Kube, operators_of_session: Operators) -> Iterator[Scene]:
    """Everybody in place, each with all that their role gives them."""
    operators_of_session.shared()
    tokyo, osaka = (Agency(api, f"agency-{name}-{uuid.uuid4().hex[:8]}") for name in ("tokyo", "osaka"))
    for agency, owner in ((tokyo, OWNER), (osaka, OTHER)):
        agency.open()
        api.create(bind(agency.name, "owner", "clientorg-agency-owner", "User", owner))
    api.create(bind(tokyo.name, "support", "clientorg-agency-support", "Group", "tokyo-support"))
    api.create(bind(tokyo.name, "approver", "clientorg-approver", "User", APPROVER))
    for name, data in (("clientorg-smtp", {"host": "127.0.0.1", "port": "9", "username": "x", "password": CANARY}),
                       ("clientorg-webhook", {"secret": CANARY})):  # fmt: skip
        metadata = {"name": name, "namespace": tokyo.name}
        api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    tokyo.plan.edit(
        notifications={
            "fromAddress": "no-reply@tokyo.example",
            "webhook": {"url": "https://127.0.0.1:9/hook", "secret": "clientorg-webhook"},
        }
    )
    staff = {"agency": [{"name": "tokyo-admins"}], "support": [{"name": "tokyo-support"}]}
    tokyo.plan.change(access=staff, resourceQuota={"configmaps": "8"})
    admins = [{"name": TENANT, "role": "Full"}, {"name": LOOKER}]
    acme, beta = tokyo.ready_client(admins=admins), tokyo.ready_client("beta")
    here = Scene(api, cluster, tokyo, osaka, acme, beta, acme.workspace, beta.workspace)
    wait_until(lambda: _all_are_in(here), 30, "everybody to have their rights")
    yield here
    for agency in (tokyo, osaka):
        agency.close()


def _all_are_in(here: Scene) -> bool:
    """Nobody is refused for want of a role: all of them may do what their roles say."""
    workspace, agency = here.acme_workspace, here.tokyo.name
    checks = [
        here.person(TENANT, "probe").may("create", CONFIG_MAPS, workspace),
        here.person(LOOKER, "probe").may("list", CONFIG_MAPS, workspace),
        here.person("sam@tokyo.example", "probe").may("list", CONFIG_MAPS, workspace),
        here.person("sam@tokyo.example", "probe").may("list", CLIENT_ORGS, agency),
        here.person(OWNER, "probe").may("delete", CONFIG_MAPS, workspace),
        here.person(OWNER, "probe").may("delete", CLIENT_ORGS, agency),
        here.person(OTHER, "probe").may("delete", CLIENT_ORGS, here.osaka.name),
    ]
    return all(checks)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_attack_is_refused_and_the_audit_log_says_so(scene: Scene, attack: Attack) -> None:
    mark = f"attack/{attack.name.replace(' ', '-')}"
    person = scene.person(attack.who, mark)

    with person, pytest.raises(RefusedError) as refused:
        attack.request(person, scene)

    assert refused.value.code in attack.codes, refused.value
    assert attack.why in refused.value.message, refused.value
    line = wait_until(lambda: _audit_line(scene, mark, attack.codes), 30, "the audit log to tell of it")
    if attack.who:
        assert line["impersonatedUser"]["username"] == attack.who


def _audit_line(scene: Scene, mark: str, codes: tuple[int, ...]) -> Json | None:
    """The refusal in the audit log."""
    log = getattr(scene.cluster, "audit_log", None)
    if log is None:
        pytest.skip("needs the audit log of a control plane of our own")
    lines = (event for event in read_events(log) if event.get("userAgent") == mark)
    return next((line for line in lines if line["responseStatus"]["code"] in codes), None)
