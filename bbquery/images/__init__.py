"""Photos in, pixels out: reading, placing what an oracle is sent, and encoding it."""
