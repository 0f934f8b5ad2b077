"""The command line: data on stdout, progress and logs on stderr, errors as one line and a hint."""
