"""The vendors' systems, one room each; README.md says how to add one."""
