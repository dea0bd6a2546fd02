"""What the web clients have in common: knowledge as data, and one way to look for and press things."""
