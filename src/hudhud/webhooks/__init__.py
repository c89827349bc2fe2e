"""Events sent to the endpoints of customers."""
