"""What tests, demo and benchmark share: installing the operator, running it as a process, building objects."""
