"""The functions behind the verbs: each reads its options, asks the node once, and prints the answer."""
