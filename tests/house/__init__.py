"""House rules: contract, code, READMEs."""
