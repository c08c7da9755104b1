"""Sound: reading, writing, making and placing it. Import the module you need; nothing is loaded here."""
