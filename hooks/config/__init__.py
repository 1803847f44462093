"""What is ours in other programs' configuration of a container.

hook_entry   the entry that makes a runtime run the hook, and who could tamper with it
config_edit  our part of a `config.json`: put in, told apart, taken out
"""
