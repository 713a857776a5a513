"""The live engine: an audio process that never waits, a worker process that plays the chain, and their supervisor.

    audio    the device's callback: writes what comes in, returns what the worker made of it    audio_process.py
    worker   waits for a block, sets what has changed, runs the chain, writes the result        worker.py, player.py
    control  starts and restarts the two; the `Sink` of the controller                          session.py

They share memory (`shared_state.py`): numbered blocks of sound, values (`parameter_memory.py`), figures
(`status.py`); an event wakes the worker (`system/wakeup.py`). Everything else goes through pipes (`messages.py`).
"""
