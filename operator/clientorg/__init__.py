"""clientorg: the client organizations of an agency as Kubernetes resources."""

__version__ = "0.1.0"
