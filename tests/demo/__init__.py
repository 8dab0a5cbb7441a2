"""`make demo`, `make up` and `make down`: a cluster and the operator on this machine, in front or in the background."""
