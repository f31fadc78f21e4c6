"""The people, rooms and wires that the protocol tests play with. Nothing here knows how the server is built."""
