# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Documents of glTF 2.0 in the form that trimesh reads correctly.

trimesh ignores which texture coordinates a picture uses and how they are transformed, and it reads
integers that stand for fractions and sparse accessors as they are stored. It leaves out fans of
triangles, and pictures that are missing, in another folder, or in a format that Pillow does not
read.
"""

from __future__ import annotations

import base64
from importlib.util import find_spec
import io
import json
import math
from pathlib import Path
import struct
from urllib.parse import unquote

import numpy as np

SUFFIXES = ('.glb', '.gltf')

_DRACO = 'KHR_draco_mesh_compression'
_TRANSFORM = 'KHR_texture_transform'
_WEBP = 'EXT_texture_webp'

_SUPPORTED = (_TRANSFORM, _WEBP, 'KHR_mesh_quantization', 'KHR_lights_punctual')
"""Extensions that a file may require, in addition to those of materials (`KHR_materials_...`)."""

_TRIANGLES, _FAN = 4, 6  # modes of primitives
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_TYPES = {5120: 'i1', 5121: 'u1', 5122: '<i2', 5123: '<u2', 5125: '<u4', 5126: '<f4'}
_COLUMNS = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4, 'MAT2': 4, 'MAT3': 9, 'MAT4': 16}


def readable_gltf(path: Path) -> bytes | None:
    """
    Return a .gltf document of the scene in a file that trimesh would misread; None for others.

    Raises ValueError with what is missing or not supported in a file that cannot be read.
    """
    document, binary = _parse(path.read_bytes())
    _check_extensions(document)
    gltf = _Document(path, document, binary)
    gltf.check_pictures()
    gltf.convert_accessors()
    gltf.convert_primitives()
    return gltf.content() if gltf.is_changed else None


def _parse(content: bytes) -> tuple[dict, bytes]:
    """Return the JSON document of a .gltf or .glb file, and the binary part of the latter."""
    if content[:4] != b'glTF':
        return json.loads(content), b''
    chunks, start = {}, 12
    while start + 8 <= len(content):
        length, kind = struct.unpack_from('<2I', content, start)
        chunks.setdefault(kind, content[start + 8 : start + 8 + length])
        start += 8 + length
    return json.loads(chunks.get(_JSON_CHUNK, b'')), chunks.get(_BINARY_CHUNK, b'')


def _check_extensions(document: dict) -> None:
    """Raise ValueError if the document requires an extension that is not supported."""
    for name in document.get('extensionsRequired', []):
        if name == _DRACO and not find_spec('DracoPy'):
            raise ValueError(
                'it is compressed by Draco: install DracoPy, or export it without compression'
            )
        if name not in (*_SUPPORTED, _DRACO) and not name.startswith('KHR_materials_'):
            raise ValueError(f'it needs the extension {name}: export it without')


class _Document:
    """A glTF document and its buffers, with the changes that trimesh needs."""

    def __init__(self, path: Path, document: dict, binary: bytes):
        self.is_changed = False
        self._path, self._document = path, document
        self._buffers: list[bytes] = [
            self._load(buffer) if 'uri' in buffer else binary
            for buffer in document.get('buffers', [])
        ]
        self._added = bytearray()

    def _load(self, part: dict) -> bytes:
        """Return the content of a buffer or an image with a URI."""
        uri = part['uri']
        if uri.startswith('data:'):
            return base64.b64decode(uri.partition(',')[2])
        file = self._path.parent / unquote(uri)
        if not file.is_file():
            raise ValueError(f'the file {unquote(uri)} is missing in its folder')
        self.is_changed = True
        return file.read_bytes()

    def check_pictures(self) -> None:
        """Raise ValueError that names a material whose picture is missing or cannot be decoded."""
        from PIL import Image

        textures, images = (self._document.get(name, []) for name in ('textures', 'images'))
        for material in self._document.get('materials', []):
            picture = _base_picture(material)
            if picture is None:
                continue
            texture = textures[picture['index']]
            webp = texture.get('extensions', {}).get(_WEBP, {})
            source = webp.get('source', texture.get('source'))
            name = material.get('name', 'without a name')
            if source is None:
                kinds = ', '.join(texture.get('extensions', {'none': None}))
                raise ValueError(f'the picture of material {name} has no PNG or JPEG ({kinds})')
            try:
                Image.open(io.BytesIO(self._image(images[source]))).close()
            except OSError as error:
                raise ValueError(f'the picture of material {name}: {error}') from error

    def _image(self, image: dict) -> bytes:
        """Return the content of an image, which becomes a part of the document if it is a file."""
        if 'bufferView' in image:
            return bytes(self._view(image['bufferView']))
        content = self._load(image)
        if not image['uri'].startswith('data:'):
            image['uri'] = _data_uri(content)
        return content

    def _view(self, index: int) -> memoryview:
        """Return the bytes of a buffer view."""
        view = self._document['bufferViews'][index]
        start = view.get('byteOffset', 0)
        return memoryview(self._buffers[view['buffer']])[start : start + view['byteLength']]

    def convert_accessors(self) -> None:
        """Replace sparse accessors, and integers that stand for fractions."""
        for accessor in self._document.get('accessors', []):
            if accessor.get('normalized') or 'sparse' in accessor:
                self._store(accessor, self._array(accessor))

    def _array(self, accessor: dict) -> np.ndarray:
        """Return the values (N, columns) of an accessor; fractions as float32."""
        count, dtype = accessor['count'], np.dtype(_TYPES[accessor['componentType']])
        columns = _COLUMNS[accessor['type']]
        values = np.zeros((count, columns), dtype)
        if 'bufferView' in accessor:
            stride = self._document['bufferViews'][accessor['bufferView']].get('byteStride')
            values = self._stored(accessor, count, columns, dtype, stride).copy()
        if 'sparse' in accessor:
            sparse = accessor['sparse']
            indices, changed = sparse['indices'], sparse['values']
            index_type = np.dtype(_TYPES[indices['componentType']])
            places = self._stored(indices, sparse['count'], 1, index_type)[:, 0]
            values[places] = self._stored(changed, sparse['count'], columns, dtype)
        if accessor.get('normalized') and dtype.kind in 'iu':
            values = np.maximum(values / np.float32(np.iinfo(dtype).max), -1).astype(np.float32)
        return values

    def _stored(
        self, part: dict, count: int, columns: int, dtype: np.dtype, stride: int | None = None
    ) -> np.ndarray:
        """Return an array (count, columns) of a buffer view; ValueError beyond its end."""
        strides = (stride or columns * dtype.itemsize, dtype.itemsize)
        view, start = self._view(part['bufferView']), part.get('byteOffset', 0)
        return np.ndarray((count, columns), dtype, view, start, strides)

    def _store(self, accessor: dict, values: np.ndarray) -> None:
        """Let an accessor have the values (N, columns), in a buffer that is added."""
        kinds = {np.dtype(text): kind for kind, text in _TYPES.items()}
        accessor.update(bufferView=len(self._document.setdefault('bufferViews', [])))
        accessor.update(componentType=kinds[values.dtype], byteOffset=0)
        accessor.pop('sparse', None)
        accessor.pop('normalized', None)
        content = np.ascontiguousarray(values).tobytes()
        self._document['bufferViews'].append(
            {
                'buffer': len(self._buffers),
                'byteOffset': len(self._added),
                'byteLength': len(content),
            }
        )
        self._added += content + bytes(-len(content) % 4)
        self.is_changed = True

    def convert_primitives(self) -> None:
        """Make fans lists of triangles, and the texture coordinates that are used the first."""
        materials = self._document.get('materials', [])
        for mesh in self._document.get('meshes', []):
            for primitive in mesh['primitives']:
                if primitive.get('mode') == _FAN:
                    self._convert_fan(primitive)
                if 'material' in primitive:
                    self._convert_coordinates(primitive, materials[primitive['material']])

    def _convert_fan(self, primitive: dict) -> None:
        """Make a fan a list of triangles."""
        accessors = self._document['accessors']
        corners = np.arange(accessors[primitive['attributes']['POSITION']]['count'])
        if 'indices' in primitive:
            corners = self._array(accessors[primitive['indices']])[:, 0]
        triangles = np.stack(
            [np.full(len(corners) - 2, corners[0]), corners[1:-1], corners[2:]], 1
        )
        accessor = {'type': 'SCALAR', 'count': triangles.size}
        self._store(accessor, np.uint32(triangles.reshape(-1, 1)))
        primitive.update(mode=_TRIANGLES, indices=len(accessors))
        accessors.append(accessor)

    def _convert_coordinates(self, primitive: dict, material: dict) -> None:
        """Make the texture coordinates of the material's picture the first ones."""
        picture, attributes = _base_picture(material), primitive['attributes']
        if picture is None:
            return
        transform = picture.get('extensions', {}).get(_TRANSFORM, {})
        used = transform.get('texCoord', picture.get('texCoord', 0))
        if used == 0 and not transform:
            return
        if f'TEXCOORD_{used}' not in attributes:
            raise ValueError(
                f'material {material.get("name", "without a name")} uses the texture coordinates '
                f'TEXCOORD_{used}, which a mesh lacks'
            )
        if _DRACO in primitive.get('extensions', {}):
            raise ValueError('its texture coordinates are compressed: export it without Draco')
        accessor = dict(self._document['accessors'][attributes[f'TEXCOORD_{used}']])
        angle = transform.get('rotation', 0.0)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        values = self._array(accessor) * transform.get('scale', (1, 1)) @ turn.T
        self._store(accessor, np.float32(values + transform.get('offset', (0, 0))))
        attributes['TEXCOORD_0'] = len(self._document['accessors'])
        self._document['accessors'].append(accessor)

    def content(self) -> bytes:
        """Return the document with all buffers in it."""
        buffers = [*self._buffers, bytes(self._added)]
        self._document['buffers'] = [
            {'byteLength': len(buffer), 'uri': _data_uri(buffer)} for buffer in buffers
        ]
        return json.dumps(self._document).encode()


def _base_picture(material: dict) -> dict | None:
    """Return the reference of a material to the picture of its base colour."""
    gloss = material.get('extensions', {}).get('KHR_materials_pbrSpecularGlossiness', {})
    base = material.get('pbrMetallicRoughness', {}).get('baseColorTexture')
    return gloss.get('diffuseTexture', base)


def _data_uri(content: bytes) -> str:
    return 'data:application/octet-stream;base64,' + base64.b64encode(content).decode()
