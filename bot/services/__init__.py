"""What a person or a clock can ask for: one function each, in one transaction each."""
