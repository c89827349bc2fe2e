"""The texts of messages: those that ship and those of the operator."""
