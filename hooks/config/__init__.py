"""What is ours in other programs' configuration of a container; neither stands on the other.

hook_entry   the entry that makes a runtime run the hook
config_edit  our part of a `config.json`: put in, told apart, taken out
"""
