"""The OCI side: state JSON, bundles, and registering the hook with runtimes."""
