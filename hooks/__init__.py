"""The OCI side: what a runtime calls, what engines call in its place, and registering both.

In the order in which to read it, each standing on those above it alone:

config        what is ours in other programs' configuration of a container
entry         what a runtime calls: one stage of a container's life
wrapper       what engines run in a runtime's place
registration  registering hook and wrapper with those who shall run them; it is never on
              the path of a container's start, as all above is
hook          the script: it starts a stage or the wrapper
asleep        functions of the preload that no usual act calls, and how they are told
preload       what the script loads, prepared so that it need not look for it
"""
