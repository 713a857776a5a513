"""Trainers on Lightning: resumed after a kill at any moment, on one machine or many, on CPU or GPU."""
