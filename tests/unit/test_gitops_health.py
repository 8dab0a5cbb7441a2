"""What Argo CD and Flux show in every state of our kinds (FEATURES X1): by the scripts and expressions that we ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cel
import pytest
import yaml

from clientorg.api.clientorg import OrgState, PauseReason
from clientorg.api.conditions import ConditionType
from clientorg.api.crd import KINDS
from tests.support.argocd_health import health_of
from tests.support.health_states import CUSTOMIZATIONS, STATES, State, files
from tests.support.install import ROOT
from tests.support.kstatus import KStatus, kstatus

Json = dict[str, Any]

each_state = pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state.kind}-{state.name}")
each_kind = pytest.mark.parametrize("kind", [kind.name for kind in KINDS])


def script(kind: str) -> str:
    """The health script of a kind."""
    return (CUSTOMIZATIONS / kind / "health.lua").read_text()


# -- Argo CD -------------------------------------------------------------------------------------------------------


@each_state
def test_argo_cd_shows_every_state_as_it_is(state: State) -> None:
    health = health_of(script(state.kind), state.manifest)

    assert health["status"] == state.argocd
    assert health["message"], "a person wants to know why"


@each_kind
def test_argo_cd_waits_for_an_operator_that_has_not_answered(kind: str) -> None:
    bare: Json = {"metadata": {"generation": 1}, "spec": {}}

    assert health_of(script(kind), bare)["status"] == "Progressing"
    assert health_of(script(kind), bare | {"status": {"observedGeneration": 1}})["status"] == "Progressing"


@each_kind
def test_cases_for_argo_cds_own_test_are_what_the_script_says(kind: str) -> None:
    """health_test.yaml as Argo CD's TestLuaHealthScript reads it."""
    cases = yaml.safe_load((CUSTOMIZATIONS / kind / "health_test.yaml").read_text())["tests"]

    assert len(cases) == len([state for state in STATES if state.kind == kind])
    for case in cases:
        manifest = yaml.safe_load((CUSTOMIZATIONS / kind / case["inputPath"]).read_text())
        assert health_of(script(kind), manifest) == case["healthStatus"]


def test_test_data_is_what_the_operator_says_today() -> None:
    """If not: python -m tests.support.health_states"""
    wanted = files()

    assert {path: path.read_text() for path in wanted if path.exists()} == wanted
    assert set(CUSTOMIZATIONS.rglob("*.yaml")) == wanted.keys()


def test_every_state_and_reason_to_pause_is_among_the_cases() -> None:
    """Deleting is Argo CD's own: what has a deletionTimestamp is Progressing."""
    statuses = [state.manifest.get("status") or {} for state in STATES if state.kind == "ClientOrg"]

    assert {status.get("state") for status in statuses} - {None} == {*OrgState} - {OrgState.DELETING}
    shown = {reason for status in statuses for reason in status.get("pauseReasons") or ()}
    assert shown == {*PauseReason}


@each_state
def test_paused_client_is_suspended_for_whatever_reason(state: State) -> None:
    """As soon as nothing runs any more; and nothing else is, but what is over."""
    status = state.manifest.get("status") or {}
    is_paused = status.get("state") == OrgState.PAUSED and state.kstatus is KStatus.CURRENT
    is_over = status.get("state") in (OrgState.DEACTIVATED, OrgState.TERMINATED) and state.kstatus is KStatus.CURRENT

    assert (state.argocd == "Suspended") is (is_paused or is_over)


INFORMATION = {
    *{(kind, "True") for kind in ("BalanceNegative", "UsersOverLimit", "NotificationFailing", "OverCommitted")},
    *{(kind, "True") for kind in ("PointsLow", "PointsShort")},
    *{(kind, "False") for kind in ("UsageReported", "ApprovalOnTarget", "UsageSourceReady")},
}
"""Conditions, and their status when somebody should know; no tool shows an object as broken for them."""


@pytest.mark.parametrize(("kind", "status"), sorted(INFORMATION))
def test_what_somebody_should_know_degrades_nothing(kind: str, status: str) -> None:
    found = [
        state.argocd
        for state in STATES
        for condition in (state.manifest.get("status") or {}).get("conditions") or ()
        if (condition["type"], condition["status"]) == (kind, status)
    ]

    assert "Healthy" in found, "there is a case in which only this is to be known"
    assert set(found) <= {"Healthy", "Suspended"}


def test_every_condition_is_known_to_be_about_health_or_not() -> None:
    about_health = {"Ready", "Reconciling", "Stalled", "Paused", "PauseBlocked", "LicensesAllocated", "WorkspaceReady"}
    assert about_health | {"Approved"} | {kind for kind, _ in INFORMATION} == {*ConditionType}


def test_config_map_has_the_script_of_every_kind() -> None:
    (generator,) = yaml.safe_load((ROOT / "argocd" / "kustomization.yaml").read_text())["configMapGenerator"]

    assert generator["files"] == [
        f"resource.customizations.health.clientorg.dev_{kind}=resource_customizations/clientorg.dev/{kind}/health.lua"
        for kind in sorted(kind.name for kind in KINDS)
    ]


# -- Flux ----------------------------------------------------------------------------------------------------------


@each_state
def test_kstatus_shows_every_state_as_it_is(state: State) -> None:
    assert kstatus(state.manifest) is state.kstatus


AGENCIES = list(
    yaml.safe_load_all((ROOT / "examples/flux/clusters/production/agencies.yaml").read_text()),
)
EXPRESSIONS = [check for item in AGENCIES for check in item["spec"].get("healthCheckExprs") or ()]


def flux_status(check: Mapping[str, str], manifest: Json) -> KStatus:
    """What Flux makes of the expressions: the generation first, then inProgress, failed and current in this order.

    Source: fluxcd/pkg, runtime/cel, `StatusEvaluator.Evaluate` (RFC 0009). An expression that fails, for want of a
    field, is an error there and here.
    """
    status = manifest.get("status") or {}
    if status.get("observedGeneration", manifest["metadata"]["generation"]) != manifest["metadata"]["generation"]:
        return KStatus.IN_PROGRESS
    context: dict[str, Any] = {
        name: manifest[name] for name in ("apiVersion", "kind", "metadata", "spec", "status") if name in manifest
    }
    for name, found in (
        ("inProgress", KStatus.IN_PROGRESS),
        ("failed", KStatus.FAILED),
        ("current", KStatus.CURRENT),
    ):
        if name in check and cel.evaluate(check[name], context) is True:
            return found
    return KStatus.IN_PROGRESS


@pytest.mark.parametrize("state", [s for s in STATES if s.kind == "ClientOrg"], ids=lambda state: state.name)
def test_flux_expressions_differ_from_kstatus_only_in_what_waits_for_people(state: State) -> None:
    (check,) = EXPRESSIONS
    waits_for_people = state.name in ("waits-for-approval", "waits-for-licenses")

    assert flux_status(check, state.manifest) is (KStatus.CURRENT if waits_for_people else state.kstatus)


# -- the examples --------------------------------------------------------------------------------------------------


def test_both_tools_have_the_same_agencies() -> None:
    """But for the sync waves, which only Argo CD has."""
    argocd, flux = (ROOT / "examples" / tool / "agencies" for tool in ("argocd", "flux"))

    for path in argocd.rglob("*.yaml"):
        ours = path.read_text()
        theirs = (flux / path.relative_to(argocd)).read_text()
        assert "".join(line for line in ours.splitlines(True) if "argocd.argoproj.io/" not in line) == theirs
