"""`kubectl clientorg dashboard`: a page on this machine, with the rights of the user's kubeconfig and nothing else."""
