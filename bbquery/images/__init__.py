"""Photos in and pixels out: reading, placing what an oracle is sent, and the bytes that travel."""
