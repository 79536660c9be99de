"""Second factors and passkeys: enrolled, asked for, verified."""
