"""What is shown at the doors: access tokens, sessions with their refresh tokens, API keys of people and programs."""
