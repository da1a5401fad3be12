"""Version 1 of the contract; the stubs beside this file are generated."""
