"""The kinds of `clientorg.dev/v1alpha1` as pydantic models: the one source of the CRDs in crds/."""
