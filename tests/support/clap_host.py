"""A small CLAP host, after the specification's headers (CLAP 1.1), for one plug-in in a process of its own."""

import ctypes as c
import functools
import struct
import threading

import numpy as np

POINTER, TEXT = c.c_void_p, c.c_char_p


class _Table:
    """Functions behind each other in memory, from `offset` on, each called with a first argument of its own."""

    def __init__(self, address, offset, first, **functions):
        for place, (name, (result, *arguments)) in enumerate(functions.items()):
            slot = c.cast(address + offset + 8 * place, c.POINTER(POINTER))[0]
            called = c.CFUNCTYPE(result, *([POINTER] if first else []), *arguments)(slot)
            setattr(self, name, functools.partial(called, first) if first else called)


class _Event(c.Structure):
    _fields_ = [
        *((name, c.c_uint32) for name in ("size", "time")),
        *((name, c.c_uint16) for name in ("space", "type")),
        *((name, c.c_uint32) for name in ("flags", "parameter")),
        ("cookie", POINTER),
        ("note", c.c_int32),
        *((name, c.c_int16) for name in ("port", "channel", "key")),
        ("value", c.c_double),
    ]


class _Info(c.Structure):
    _fields_ = [("id", c.c_uint32), ("flags", c.c_uint32), ("cookie", POINTER), ("name", c.c_char * 256)]
    _fields_ += [("module", c.c_char * 1024), ("low", c.c_double), ("high", c.c_double), ("default", c.c_double)]


class _Buffer(c.Structure):
    _fields_ = [("floats", POINTER), ("doubles", POINTER), ("channels", c.c_uint32), ("latency", c.c_uint32)]
    _fields_ += [("constant", c.c_uint64)]


class _Process(c.Structure):
    _fields_ = [("time", c.c_int64), ("frames", c.c_uint32), ("transport", POINTER), ("inputs", POINTER)]
    _fields_ += [("outputs", POINTER), ("input_count", c.c_uint32), ("output_count", c.c_uint32)]
    _fields_ += [("events", POINTER), ("out_events", POINTER)]


class ClapHost:
    """The plug-in in a file, as `id`, initialised. `calls`: what it has called in the host, and in which thread."""

    def __init__(self, path, plugin_id="gramophone.bridge"):
        self._kept, self.calls = [], []
        self._events = []
        library = c.CDLL(str(path) + "")
        entry = c.addressof(c.c_char.in_dll(library, "clap_entry"))
        self._entry = _Table(entry, 16, None, init=(c.c_bool, TEXT), deinit=(None,), factory=(POINTER, TEXT))
        assert self._entry.init(str(path).encode())
        factory = self._entry.factory(b"clap.plugin-factory")
        self.factory = _Table(
            factory, 0, factory, count=(c.c_uint32,), descriptor=(POINTER, c.c_uint32), create=(POINTER, POINTER, TEXT)
        )
        plugin = self.factory.create(self._host(), plugin_id.encode())
        assert plugin
        self.plugin = _Table(
            plugin,
            16,
            plugin,
            init=(c.c_bool,),
            destroy=(None,),
            activate=(c.c_bool, c.c_double, c.c_uint32, c.c_uint32),
            deactivate=(None,),
            start=(c.c_bool,),
            stop=(None,),
            reset=(None,),
            process=(c.c_int32, POINTER),
            extension=(POINTER, TEXT),
            on_main_thread=(None,),
        )
        assert self.plugin.init()
        self.parameters = self._extension(
            plugin,
            b"clap.params",
            count=(c.c_uint32,),
            info=(c.c_bool, c.c_uint32, POINTER),
            value=(c.c_bool, c.c_uint32, POINTER),
            to_text=(c.c_bool, c.c_uint32, c.c_double, POINTER, c.c_uint32),
            to_value=(c.c_bool, c.c_uint32, TEXT, POINTER),
            flush=(None, POINTER, POINTER),
        )
        self.latency = getattr(self._extension(plugin, b"clap.latency", get=(c.c_uint32,)), "get", None)
        self.render = self._extension(plugin, b"clap.render", hard=(c.c_bool,), set=(c.c_bool, c.c_int32))
        self._state = self._extension(plugin, b"clap.state", save=(c.c_bool, POINTER), load=(c.c_bool, POINTER))

    def infos(self):
        """Return the description of every parameter."""
        found = []
        for index in range(self.parameters.count()):
            info = _Info()
            assert self.parameters.info(index, c.addressof(info))
            found.append(info)
        return found

    def value(self, index):
        """Return a parameter's value."""
        value = c.c_double()
        assert self.parameters.value(index, c.addressof(value))
        return value.value

    def text(self, index, value):
        """Return a parameter's value as text."""
        shown = c.create_string_buffer(256)
        assert self.parameters.to_text(index, value, c.addressof(shown), 256)
        return shown.value.decode()

    def set(self, index, value):
        """Set a parameter with the next block."""
        self._events.append(_Event(c.sizeof(_Event), 0, 0, 5, 0, index, None, -1, -1, -1, -1, value))

    def flush(self):
        """Set parameters without a block."""
        lists = self._event_lists()
        self.parameters.flush(*lists)
        self._events.clear()

    def process(self, sound, in_place=False, tempo=None):
        """Return the sound of one block, `(channels, frames)`; `sound` stays as it is unless played in place.

        With a `tempo`, in quarter notes a minute, the transport runs.
        """
        sound = np.ascontiguousarray(sound, np.float32)
        result = sound if in_place else np.full_like(sound, np.nan)
        inputs, outputs = self._buffer(sound), self._buffer(result)
        events, out_events = self._event_lists()
        transport = self._transport(tempo) if tempo else None
        block = _Process(-1, sound.shape[1], transport, c.addressof(inputs), c.addressof(outputs), 1, 1)
        block.events, block.out_events = events, out_events
        assert self.plugin.process(c.addressof(block)) == 1
        self._events.clear()
        return result

    def play(self, sound, rate, block, offline=True, tempo=None, between=lambda _number: None):
        """Return a whole sound in blocks, in line: latency is taken off its beginning.

        `between` is called before each block with its number.
        """
        self.render.set(int(offline))
        assert self.plugin.activate(rate, 1, block)
        assert self.plugin.start()
        late = self.latency()
        padded = np.pad(sound, ((0, 0), (0, late)))
        parts = []
        for at in range(0, padded.shape[1], block):
            between(at // block)
            parts.append(self.process(padded[:, at : at + block], tempo=tempo))
        self.plugin.stop()
        self.plugin.deactivate()
        return np.concatenate(parts, axis=1)[:, late:]

    def save(self, part=1 << 20):
        """Return the state, written in pieces of `part` bytes at the most."""
        data = bytearray()

        def write(_stream, buffer, size):
            taken = min(size, part)
            data.extend(c.string_at(buffer, taken))
            return taken

        callback = c.CFUNCTYPE(c.c_int64, POINTER, POINTER, c.c_uint64)(write)
        stream = (POINTER * 2)(None, c.cast(callback, POINTER))
        assert self._state.save(c.addressof(stream))
        return bytes(data)

    def load(self, data, part=1 << 20):
        """Load a state, read in pieces of `part` bytes at the most; return whether the plug-in took it."""
        at = [0]

        def read(_stream, buffer, size):
            taken = data[at[0] : at[0] + min(size, part)]
            c.memmove(buffer, taken, len(taken))
            at[0] += len(taken)
            return len(taken)

        callback = c.CFUNCTYPE(c.c_int64, POINTER, POINTER, c.c_uint64)(read)
        stream = (POINTER * 2)(None, c.cast(callback, POINTER))
        return self._state.load(c.addressof(stream))

    def close(self):
        """Destroy the plug-in."""
        self.plugin.destroy()
        self._entry.deinit()

    def _extension(self, plugin, name, **functions):
        address = self.plugin.extension(name)
        return _Table(address, 0, plugin, **functions) if address else None

    def _host(self):
        """Return a host that offers the extensions `latency` and `params`, whose calls are only noted."""
        kind = c.CFUNCTYPE(None, POINTER, c.c_uint32, c.c_uint32)

        def noted(*names):
            calls = [kind(lambda *_, name=name: self.calls.append((name, threading.get_ident()))) for name in names]
            self._kept.append(calls)
            return (POINTER * len(names))(*(c.cast(call, POINTER) for call in calls))

        tables = {
            b"clap.latency": noted("latency.changed"),
            b"clap.params": noted("params.rescan", "params.clear", "params.request_flush"),
        }
        extension = c.CFUNCTYPE(POINTER, POINTER, TEXT)(
            lambda _host, name: c.addressof(tables[name]) if name in tables else None
        )
        words = [c.create_string_buffer(word) for word in (b"test", b"Gramophone", b"", b"1")]
        fields = [1 | 1 << 32, 0, None, *map(c.addressof, words), c.cast(extension, POINTER).value]
        host = (POINTER * 11)(*fields, *noted("request_restart", "request_process", "request_callback"))
        self._kept += [tables, extension, words, host]
        return c.addressof(host)

    def _transport(self, tempo):
        """Return an event that says: beat 0 of bar 0 in 4/4, playing at `tempo`."""
        flags = 1 | 2 | 8 | 16  # tempo, beats, time signature, playing
        event = struct.pack("<IIHHIIxxxxqqddqqqqqiHH", 104, 0, 0, 9, 0, flags, 0, 0, tempo, 0.0, 0, 0, 0, 0, 0, 0, 4, 4)
        self._kept_transport = c.create_string_buffer(event, 112)
        return c.addressof(self._kept_transport)

    def _buffer(self, sound):
        rows = (POINTER * len(sound))(*(row.ctypes.data for row in sound))
        self._kept_buffers = [*getattr(self, "_kept_buffers", [])[-6:], rows, sound]
        return _Buffer(c.addressof(rows), None, len(sound), 0, 0)

    def _event_lists(self):
        events = self._events
        size = c.CFUNCTYPE(c.c_uint32, POINTER)(lambda _list: len(events))
        get = c.CFUNCTYPE(POINTER, POINTER, c.c_uint32)(lambda _list, index: c.addressof(events[index]))
        push = c.CFUNCTYPE(c.c_bool, POINTER, POINTER)(lambda _list, _event: True)
        inward = (POINTER * 3)(None, c.cast(size, POINTER), c.cast(get, POINTER))
        outward = (POINTER * 2)(None, c.cast(push, POINTER))
        self._kept_events = [size, get, push, inward, outward]
        return c.addressof(inward), c.addressof(outward)
