"""The engine side: Docker's and Podman's events, reconciling, and the service around it."""
