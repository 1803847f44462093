"""What is persisted: who is attached, which networks there are, which ports are whose.

settings       the operator's settings, and their compiled form
routes         a route, as records and definitions have it
definitions    what people define: files of networks and links
networks       the networks that are defined
cables         the links of two containers that are defined
accesses       what such a record has of who may talk to whom
attachments    the record of each sandbox
resolved_names where DNS names lead to that packets may leave for
mentions       who is called what where containers are kept apart, and who speaks of whom
forward_guards whose forwarding is ours, and from what it is kept
hints          files that save time, and may be lost
passages       whose packets get through the chains of others
table_shapes   how our table looks as it is made
port_claim     one claim of host ports, and its file
kept_ports     host ports that are kept for names
free_port      host ports that may be given where none is asked for
claim_attempt  one try to claim host ports, under the lock
port_claims    who holds which host port
left_files     what killed writers left
"""
