"""Engines behind the transcription port."""
