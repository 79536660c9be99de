"""GitHub: issues in by file, poll and webhook; comments and labels out."""
