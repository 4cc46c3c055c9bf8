"""The rules of sanitising, by what they look at; `sanitise` says in which order."""
