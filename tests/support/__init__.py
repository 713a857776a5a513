"""What tests share: peers, small models, sounds."""
