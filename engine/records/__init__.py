"""What is persisted: who is attached, which networks there are, which ports are whose.

settings     the operator's settings, and their compiled form
networks     the networks that are defined
attachments  the record of each sandbox
port_claim   one claim of host ports, and its file
port_claims  who holds which host port
free_port    host ports that may be given where none is asked for
recorded     what the firewall holds if it holds all of what is recorded
"""
