"""A small LV2 host by Debian's lilv, without features, for plug-ins in a process of its own."""

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
        self._instance = self._lilv.lilv_plugin_instantiate(self.plugin, rate, None)
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
