"""What the doctor checks on a cluster, one module a question; each reads, and gives findings."""
