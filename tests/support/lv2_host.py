"""A small LV2 host by Debian's lilv, for plug-ins in a process of its own; numbers for URIs are its only feature."""

import ctypes as c

import numpy as np

POINTER, TEXT = c.c_void_p, c.c_char_p
LIBRARY = "liblilv-0.so.0"


class _Descriptor(c.Structure):
    _fields_ = [
        ("uri", TEXT),
        ("instantiate", POINTER),
        ("connect", c.CFUNCTYPE(None, POINTER, c.c_uint32, POINTER)),
        ("activate", c.CFUNCTYPE(None, POINTER)),
        ("run", c.CFUNCTYPE(None, POINTER, c.c_uint32)),
        ("deactivate", c.CFUNCTYPE(None, POINTER)),
    ]


class _Instance(c.Structure):
    _fields_ = [("descriptor", c.POINTER(_Descriptor)), ("handle", POINTER), ("own", POINTER)]


class _Feature(c.Structure):
    _fields_ = [("uri", TEXT), ("data", POINTER)]


_MAP, _UNMAP = c.CFUNCTYPE(c.c_uint32, POINTER, TEXT), c.CFUNCTYPE(TEXT, POINTER, c.c_uint32)
_VALUE = c.CFUNCTYPE(POINTER, TEXT, POINTER, c.POINTER(c.c_uint32), c.POINTER(c.c_uint32))
_SET = c.CFUNCTYPE(None, TEXT, POINTER, c.POINTER(c.c_float), c.c_uint32, c.c_uint32)


class _Uris:
    """Numbers for URIs, as the features `urid:map` and `urid:unmap` give them."""

    def __init__(self):
        self._known = []
        self._map, self._unmap = (
            _MAP(lambda _, uri: self.number(uri)),
            _UNMAP(lambda _, number: self._known[number - 1]),
        )
        self._tables = [(POINTER * 2)(None, c.cast(function, POINTER)) for function in (self._map, self._unmap)]
        self.map, self.unmap = (c.addressof(table) for table in self._tables)
        names = (b"http://lv2plug.in/ns/ext/urid#map", b"http://lv2plug.in/ns/ext/urid#unmap")
        self._features = [*map(_Feature, names, (self.map, self.unmap))]
        self._list = (POINTER * 3)(*map(c.addressof, self._features), None)
        self.features = c.addressof(self._list)

    def number(self, uri):
        if uri not in self._known:
            self._known.append(uri)
        return 1 + self._known.index(uri)


def _functions():
    library = c.CDLL(LIBRARY)
    for name, (result, *arguments) in {
        "world_new": (POINTER,),
        "new_uri": (POINTER, POINTER, TEXT),
        "new_file_uri": (POINTER, POINTER, TEXT, TEXT),
        "world_load_bundle": (None, POINTER, POINTER),
        "world_get_all_plugins": (POINTER, POINTER),
        "plugins_get_by_uri": (POINTER, POINTER, POINTER),
        "plugin_get_num_ports": (c.c_uint32, POINTER),
        "plugin_get_port_by_index": (POINTER, POINTER, c.c_uint32),
        "plugin_get_port_ranges_float": (None, POINTER, POINTER, POINTER, POINTER),
        "port_get_symbol": (POINTER, POINTER, POINTER),
        "node_as_string": (TEXT, POINTER),
        "node_free": (None, POINTER),
        "plugin_instantiate": (c.POINTER(_Instance), POINTER, c.c_double, POINTER),
        "instance_free": (None, POINTER),
        "world_free": (None, POINTER),
        "state_new_from_instance": (POINTER, POINTER, POINTER, POINTER, *[TEXT] * 4, _VALUE, *[POINTER] * 3),
        "state_save": (c.c_int, *[POINTER] * 4, *[TEXT] * 3),
        "state_new_from_file": (POINTER, POINTER, POINTER, POINTER, TEXT),
        "state_restore": (None, POINTER, POINTER, _SET, POINTER, c.c_uint32, POINTER),
        "state_free": (None, POINTER),
    }.items():
        function = getattr(library, f"lilv_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class Lv2Host:
    """An instance of the plug-in in a bundle; its first audio ports are two of input and two of output."""

    def __init__(self, bundle, rate, uri="urn:gramophone:bridge"):
        self._lilv = _functions()
        self._world = self._lilv.lilv_world_new()
        folder = self._lilv.lilv_new_file_uri(self._world, None, f"{bundle}/".encode())
        self._lilv.lilv_world_load_bundle(self._world, folder)
        name = self._lilv.lilv_new_uri(self._world, uri.encode())
        self.plugin = self._lilv.lilv_plugins_get_by_uri(self._lilv.lilv_world_get_all_plugins(self._world), name)
        assert self.plugin, f"{bundle} has no {uri}"
        for node in (folder, name):
            self._lilv.lilv_node_free(node)
        self.symbols = [self._symbol(index) for index in range(self._lilv.lilv_plugin_get_num_ports(self.plugin))]
        lowest, highest, values = (np.zeros(len(self.symbols), np.float32) for _ in range(3))
        addresses = (array.ctypes.data for array in (lowest, highest, values))
        self._lilv.lilv_plugin_get_port_ranges_float(self.plugin, *addresses)
        self._values = np.nan_to_num(values)
        self._uris = _Uris()
        self._instance = self._lilv.lilv_plugin_instantiate(self.plugin, rate, self._uris.features)
        self._descriptor, self._handle = self._instance[0].descriptor[0], self._instance[0].handle
        for index, symbol in enumerate(self.symbols):
            if not symbol.startswith(("lv2_audio", "lv2_events")):
                self._connect(index, self._values[index:])

    def set(self, symbol, value):
        """Set a control port."""
        self._values[self.symbols.index(symbol)] = value

    def get(self, symbol):
        """Return a control port's value."""
        return float(self._values[self.symbols.index(symbol)])

    def save(self, folder):
        """Write the state to `state.ttl` in a folder, as jalv reads it."""
        kind = self._uris.number(b"http://lv2plug.in/ns/ext/atom#Float")

        def value(symbol, _data, size, type_):
            size[0], type_[0] = 4, kind
            return self._values[self.symbols.index(symbol.decode()) :].ctypes.data

        uris, where = self._uris, f"{folder}/".encode()
        state = self._lilv.lilv_state_new_from_instance(
            self.plugin, self._instance, uris.map, where, None, None, where, _VALUE(value), None, None, uris.features
        )
        assert not self._lilv.lilv_state_save(self._world, uris.map, uris.unmap, state, None, where, b"state.ttl")
        self._lilv.lilv_state_free(state)

    def load(self, folder):
        """Restore a state that was saved in a folder."""

        def set_value(symbol, _data, value, _size, _type):
            self.set(symbol.decode(), value[0])

        file = f"{folder}/state.ttl".encode()
        state = self._lilv.lilv_state_new_from_file(self._world, self._uris.map, None, file)
        assert state, f"{folder} holds no state"
        self._lilv.lilv_state_restore(state, self._instance, _SET(set_value), None, 0, self._uris.features)
        self._lilv.lilv_state_free(state)

    def play(self, sound, block):
        """Return a sound `(2, frames)` as late as the plug-in makes it."""
        played = np.zeros_like(sound)
        self._descriptor.activate(self._handle)
        for at in range(0, sound.shape[1], block):
            given = np.ascontiguousarray(sound[:, at : at + block], np.float32)
            found = np.zeros_like(given)
            for channel in (0, 1):
                self._connect(self.symbols.index(f"lv2_audio_in_{channel + 1}"), given[channel])
                self._connect(self.symbols.index(f"lv2_audio_out_{channel + 1}"), found[channel])
            self._descriptor.run(self._handle, given.shape[1])
            played[:, at : at + block] = found
        self._descriptor.deactivate(self._handle)
        return played

    def close(self):
        """Free the instance, and all that was read of the bundle."""
        self._lilv.lilv_instance_free(self._instance)
        self._lilv.lilv_world_free(self._world)

    def _connect(self, index, array):
        self._descriptor.connect(self._handle, index, array.ctypes.data)

    def _symbol(self, index):
        port = self._lilv.lilv_plugin_get_port_by_index(self.plugin, index)
        return self._lilv.lilv_node_as_string(self._lilv.lilv_port_get_symbol(self.plugin, port)).decode()
