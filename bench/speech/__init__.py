"""What B13 is made of: speech with known words, streams of it in real time, two servers, and what is made of it."""
