"""`kubectl clientorg`: the plugin. It uses the user's kubeconfig and rights, and nothing else."""
