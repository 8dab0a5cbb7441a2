"""Runs the Dockerfile without Docker: each step in a clean Debian root made with debootstrap (`make image-try`)."""
