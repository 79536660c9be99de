"""Words every other package uses: errors, identifiers, the clock, JSON. No input or output."""
