"""Tensors that lend their memory as they are told to: in either form of DLPack, with any shape, flags and device."""

import ctypes
import sys

CPU, CUDA, CUDA_HOST, ROCM, CUDA_MANAGED = 1, 2, 3, 10, 13
READ_ONLY, IS_COPIED, PADDED = 1, 2, 4


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Legacy(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", DELETER),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    ]


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Producer:
    """`lent` counts the loans that have not been given back. `asked` is the keywords of the last call of __dlpack__."""

    def __init__(self, data, shape, strides=None, code=2, bits=32, lanes=1, device=(CPU, 0), byte_offset=0, flags=0,
                 versioned=True, major=1, name=None, ndim=None):
        self.data, self.shape, self.strides, self.dtype = data, shape, strides, (code, bits, lanes)
        self.device, self.byte_offset, self.flags = device, byte_offset, flags
        self.versioned, self.major, self.name = versioned, major, name
        self.ndim = len(shape) if ndim is None else ndim
        self.lent, self.asked = 0, None
        self._loans = []  # as long as this lives: a deleter must not free the code that runs it

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **keywords):
        if not self.versioned and set(keywords) - {"stream"}:
            raise TypeError("a producer from before DLPack 1.0")
        self.asked = keywords
        managed = Versioned(major=self.major, minor=0, flags=self.flags) if self.versioned else Legacy()
        numbers = [(ctypes.c_int64 * max(len(values), 1))(*values) if values is not None else None
                   for values in (self.shape, self.strides)]
        pointers = [ctypes.cast(array, ctypes.POINTER(ctypes.c_int64)) for array in numbers]
        managed.tensor = DLTensor(self.data, *self.device, self.ndim, *self.dtype, *pointers, self.byte_offset)

        def delete(_):
            self.lent -= 1

        managed.deleter = DELETER(delete)
        self.lent += 1
        self._loans.append((managed, numbers))
        name = self.name or (b"dltensor_versioned" if self.versioned else b"dltensor")
        return new_capsule(ctypes.addressof(managed), name, None)
