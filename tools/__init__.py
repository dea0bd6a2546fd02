"""What keeps the house in order: checks (`tools.house`) and generators (`tools.generate`)."""
