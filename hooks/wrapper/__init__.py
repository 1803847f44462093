"""The runtime wrapper: what engines run in a runtime's place; each stands on those above it.

runtime_call     the command line of a runtime, as far as it must be understood
runtime_process  the real runtime: becoming it, or running it
intent           what a container shall get from us, if anything
injection        putting that into its config
start            names, for who had no files that could have them at create
create           what is done around the runtime's `create`
"""
