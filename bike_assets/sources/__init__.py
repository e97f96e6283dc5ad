"""Where to ask and how to read the answer: one pure parser a feed version, and one door to the network."""
