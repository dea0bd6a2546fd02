"""Wire models shared by the API, the bots and the transcription service."""
