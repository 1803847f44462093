"""The runtime wrapper: what engines run in a runtime's place.

runtime_call     the command line of a runtime, as far as it must be understood
runtime_process  the real runtime: becoming it, or running it
injection        deciding about a container, and editing its config
create           what is done around the runtime's `create`
"""
