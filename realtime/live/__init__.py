"""The live engine: an audio process that never waits, a worker process that plays the chain, and their supervisor.

    audio    the device's callback: pushes what comes in, pops what the worker made of it      relay.py, audio.py
    worker   waits for a block, turns the knobs, runs the chain, hands the result on           player.py, worker.py
    control  starts and restarts the two, and is the `Sink` of the desk                        session.py

They share memory (memory.py): blocks by number (ring.py), knobs (board.py), figures (status.py), a bell (wake.py).
"""
