# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Legal forms of glTF files are read correctly, or refused with the reason."""

import base64
import json
import math
import struct

import cv2
import numpy as np
import pytest

from superpoint_ros.data.scenes.decoration import with_facades
from superpoint_ros.data.scenes.glb_meshes import read_glb
from superpoint_ros.data.scenes.meshes import UNTEXTURED
from superpoint_ros.data.scenes.sources import check_textured, fingerprint
from superpoint_ros.data.scenes.texture_lookup import TexturePyramids
from superpoint_ros.data.scenes.variations import SceneSource

trimesh = pytest.importorskip('trimesh', reason="needs the extra 'scenes'")
pytest.importorskip('PIL.Image', reason="needs the extra 'scenes'")

TRIANGLE = np.float32([[0, 0, 0], [1, 0, 0], [0, 0, 2]])
FIRST = np.float32([[0.1, 0.2], [0.3, 0.2], [0.1, 0.6]])
SECOND = np.float32([[0.5, 0.4], [0.9, 0.4], [0.5, 0.8]])
PICTURE = cv2.imencode('.png', np.full((4, 4), 90, np.uint8))[1].tobytes()
KINDS = {'u1': 5121, 'u2': 5123, 'f4': 5126}


class Model:
    """A glTF document of one triangle, built array by array."""

    def __init__(self):
        self.binary, self.views, self.accessors = b'', [], []
        self.attributes = {'POSITION': self.add(TRIANGLE)}
        self.picture = {'index': 0}
        self.material = {'name': 'bricks', 'pbrMetallicRoughness': {}}
        self.image = {'bufferView': self.view(PICTURE), 'mimeType': 'image/png'}
        self.extra = {}

    def view(self, content):
        """Add bytes; return the number of their view."""
        self.binary += bytes(-len(self.binary) % 4)
        self.views.append(
            {'buffer': 0, 'byteOffset': len(self.binary), 'byteLength': len(content)}
        )
        self.binary += content
        return len(self.views) - 1

    def add(self, values, **more):
        """Add an array (N, columns); return the number of its accessor."""
        kind = KINDS[values.dtype.str[1:]]
        size = {'type': f'VEC{values.shape[1]}', 'count': len(values), 'componentType': kind}
        self.accessors.append({'bufferView': self.view(values.tobytes()), **size, **more})
        return len(self.accessors) - 1

    def document(self, uri=None):
        """Return the document; `uri` is that of its buffer."""
        self.material['pbrMetallicRoughness']['baseColorTexture'] = self.picture
        buffer = {'byteLength': len(self.binary), **({'uri': uri} if uri else {})}
        return {
            'asset': {'version': '2.0'},
            'scene': 0,
            'scenes': [{'nodes': [0]}],
            'nodes': [{'mesh': 0}],
            'meshes': [{'primitives': [{'attributes': self.attributes, 'material': 0}]}],
            'materials': [self.material],
            'textures': [{'source': 0}],
            'images': [self.image],
            'accessors': self.accessors,
            'bufferViews': self.views,
            'buffers': [buffer],
            **self.extra,
        }

    def write(self, path):
        """Write a .glb file; return its path."""
        text = json.dumps(self.document()).encode()
        text += b' ' * (-len(text) % 4)
        binary = self.binary + bytes(-len(self.binary) % 4)
        head = struct.pack('<4s2I', b'glTF', 2, 28 + len(text) + len(binary))
        parts = [head, struct.pack('<I4s', len(text), b'JSON'), text]
        path.write_bytes(b''.join([*parts, struct.pack('<I4s', len(binary), b'BIN\0'), binary]))
        return path


def upright(coordinates):
    """Return coordinates of glTF, v down, with v up."""
    return np.float32([1, 1]) * [0, 1] + np.float32([1, -1]) * coordinates


@pytest.fixture
def model():
    """Return a model with two sets of texture coordinates, of which the first is used."""
    model = Model()
    model.attributes.update(TEXCOORD_0=model.add(FIRST), TEXCOORD_1=model.add(SECOND))
    return model


def test_the_texture_coordinates_that_a_picture_uses_are_read(model, tmp_path):
    assert read_glb(model.write(tmp_path / 'a.glb')).uv[0] == pytest.approx(upright(FIRST))
    model.picture['texCoord'] = 1
    mesh = read_glb(model.write(tmp_path / 'b.glb'))
    assert mesh.uv[0] == pytest.approx(upright(SECOND))
    assert (mesh.textures[0] == 90).all()
    assert mesh.triangles[0] == pytest.approx(TRIANGLE)
    model.picture['texCoord'] = 2
    with pytest.raises(ValueError, match=r'c\.glb .*material bricks uses .*TEXCOORD_2'):
        read_glb(model.write(tmp_path / 'c.glb'))


def test_transformed_texture_coordinates_are_read(model, tmp_path):
    # The example of the extension's specification: the lower left quarter of the picture.
    transform = {'offset': [0, 1], 'rotation': math.pi / 2, 'scale': [0.5, 0.5]}
    model.picture['extensions'] = {'KHR_texture_transform': transform}
    model.extra['extensionsRequired'] = ['KHR_texture_transform']
    uv = read_glb(model.write(tmp_path / 'a.glb')).uv[0]
    u, v = FIRST.T
    assert uv == pytest.approx(upright(np.stack([v / 2, 1 - u / 2], axis=1)), abs=1e-6)
    transform['texCoord'] = 1
    uv = read_glb(model.write(tmp_path / 'b.glb')).uv[0]
    u, v = SECOND.T
    assert uv == pytest.approx(upright(np.stack([v / 2, 1 - u / 2], axis=1)), abs=1e-6)


@pytest.mark.parametrize('kind', ['u1', 'u2'])
def test_texture_coordinates_may_be_integers_that_stand_for_fractions(kind, model, tmp_path):
    largest = np.iinfo(kind).max
    codes = np.rint(FIRST * largest).astype(f'<{kind}')
    padded = np.zeros((3, 4 // codes.itemsize), codes.dtype)  # rows begin at multiples of 4 bytes
    padded[:, :2] = codes
    accessor = model.add(padded, normalized=True)
    model.accessors[accessor]['type'] = 'VEC2'
    model.views[-1]['byteStride'] = 4
    model.attributes['TEXCOORD_0'] = accessor
    uv = read_glb(model.write(tmp_path / 'a.glb')).uv[0]
    assert uv == pytest.approx(upright(FIRST), abs=0.6 / largest)


def test_sparse_positions_are_read(model, tmp_path):
    indices, values = np.array([2], '<u2'), np.float32([[0, 0, 5]])
    model.accessors[model.attributes['POSITION']]['sparse'] = {
        'count': 1,
        'indices': {'bufferView': model.view(indices.tobytes()), 'componentType': 5123},
        'values': {'bufferView': model.view(values.tobytes())},
    }
    mesh = read_glb(model.write(tmp_path / 'a.glb'))
    assert mesh.triangles[0] == pytest.approx(np.float32([[0, 0, 0], [1, 0, 0], [0, 0, 5]]))


@pytest.mark.parametrize('is_indexed', [False, True])
def test_fans_of_triangles_are_read(is_indexed, tmp_path):
    model = Model()
    corners = np.float32([[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]])
    order = np.array([[1], [2], [3], [0]], 'u2') if is_indexed else np.arange(4)[:, None]
    model.attributes = {'POSITION': model.add(corners)}
    document = model.document()
    fan = document['meshes'][0]['primitives'][0]
    fan['mode'] = 6
    if is_indexed:
        fan['indices'] = model.add(order)
        model.accessors[-1]['type'] = 'SCALAR'
    model.document = lambda: document
    mesh = read_glb(model.write(tmp_path / 'a.glb'))
    (a, b, c, d) = corners[order[:, 0]]
    assert mesh.triangles == pytest.approx(np.stack([[a, b, c], [a, c, d]]))


def test_vertex_colours_are_gray_levels(model, tmp_path):
    colours = np.array([[255, 255, 255, 255], [255, 255, 255, 255], [0, 0, 0, 255]], 'u1')
    model.attributes['COLOR_0'] = model.add(colours, normalized=True)
    model.material['pbrMetallicRoughness']['baseColorFactor'] = [0.5, 0.5, 0.5, 1]
    mesh = read_glb(model.write(tmp_path / 'a.glb'))
    assert mesh.gray == pytest.approx([0.5 * 2 / 3], abs=0.01)
    document = model.document()
    del document['meshes'][0]['primitives'][0]['material']
    model.document = lambda: document
    mesh = read_glb(model.write(tmp_path / 'b.glb'))
    assert mesh.gray == pytest.approx([2 / 3], abs=0.01)
    assert (mesh.texture == UNTEXTURED).all()


def test_a_scan_with_coloured_vertices_is_textured_and_keeps_its_colours(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=5)  # 20,480 triangles
    levels = np.arange(len(ball.vertices)) % 251
    ball.visual.vertex_colors = np.stack([levels] * 3, axis=1).astype(np.uint8)
    ball.export(tmp_path / 'scan.glb')
    mesh = read_glb(tmp_path / 'scan.glb')
    assert check_textured([SceneSource('scan', (mesh,))], []) == []
    pictures = [np.zeros((8, 8), np.uint8)]
    decorated = with_facades(mesh, pictures, 1.0, np.random.default_rng(0))
    shown = TexturePyramids(decorated.textures).look_up(
        decorated.texture, decorated.uv[:, 0], np.ones(len(mesh))
    )
    faces = trimesh.load(tmp_path / 'scan.glb', force='mesh', process=False).faces
    assert shown * decorated.gray == pytest.approx(levels[faces].mean(axis=1), abs=0.01)


def test_files_next_to_a_gltf_file_are_read_and_missing_ones_are_named(model, tmp_path):
    (tmp_path / 'maps').mkdir()
    (tmp_path / 'maps' / 'red bricks.png').write_bytes(PICTURE)
    folder = tmp_path / 'model'
    folder.mkdir()
    (folder / 'a model.bin').write_bytes(model.binary)
    model.image = {'uri': '../maps/red%20bricks.png'}
    path = folder / 'a.gltf'
    path.write_text(json.dumps(model.document('a%20model.bin')))
    mesh = read_glb(path)
    assert mesh.uv[0] == pytest.approx(upright(FIRST))
    assert (mesh.textures[0] == 90).all()
    (tmp_path / 'maps' / 'red bricks.png').unlink()
    with pytest.raises(ValueError, match=r'a\.gltf .*\.\./maps/red bricks\.png is missing'):
        read_glb(path)
    (folder / 'a model.bin').unlink()
    with pytest.raises(ValueError, match=r'a\.gltf .*a model\.bin is missing'):
        read_glb(path)


def test_a_changed_file_next_to_a_gltf_file_changes_its_fingerprint(model, tmp_path):
    model.image = {'uri': 'bricks.png'}
    (tmp_path / 'bricks.png').write_bytes(PICTURE)
    (tmp_path / 'a.bin').write_bytes(model.binary)
    path = tmp_path / 'a.gltf'
    path.write_text(json.dumps(model.document('a.bin')))
    first = fingerprint([path])
    assert fingerprint([path]) == first
    picture = cv2.imencode('.png', np.full((4, 4), 91, np.uint8))[1].tobytes()
    (tmp_path / 'bricks.png').write_bytes(picture)
    second = fingerprint([path])
    (tmp_path / 'a.bin').write_bytes(model.binary[:-1] + b'\1')
    third = fingerprint([path])
    (tmp_path / 'a.bin').unlink()  # the scene is refused when it is read
    assert len({first, second, third, fingerprint([path])}) == 4


def test_pictures_in_data_uris_are_read(model, tmp_path):
    model.image = {'uri': 'data:image/png;base64,' + base64.b64encode(PICTURE).decode()}
    path = tmp_path / 'a.gltf'
    binary = base64.b64encode(model.binary).decode()
    path.write_text(json.dumps(model.document(f'data:application/octet-stream;base64,{binary}')))
    mesh = read_glb(path)
    assert mesh.uv[0] == pytest.approx(upright(FIRST))
    assert (mesh.textures[0] == 90).all()


def test_a_picture_that_cannot_be_decoded_is_named_by_its_material(model, tmp_path):
    model.image = {'bufferView': model.view(b'no picture'), 'mimeType': 'image/png'}
    with pytest.raises(ValueError, match=r'a\.glb .*picture of material bricks: cannot identify'):
        read_glb(model.write(tmp_path / 'a.glb'))
    model.extra['textures'] = [{'extensions': {'KHR_texture_basisu': {'source': 0}}}]
    with pytest.raises(ValueError, match=r'material bricks has no PNG .*KHR_texture_basisu'):
        read_glb(model.write(tmp_path / 'b.glb'))


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        (
            'KHR_draco_mesh_compression',
            'compressed by Draco: install DracoPy, or export it without',
        ),
        (
            'EXT_meshopt_compression',
            'needs the extension EXT_meshopt_compression: export it without',
        ),
    ],
)
def test_a_file_that_requires_an_unsupported_extension_is_refused(
    name, message, model, tmp_path, monkeypatch
):
    monkeypatch.setattr('superpoint_ros.data.scenes.gltf_files.find_spec', lambda _: None)
    model.extra['extensionsRequired'] = [name]
    with pytest.raises(ValueError, match=f'a.glb .*{message}'):
        read_glb(model.write(tmp_path / 'a.glb'))


def test_transparent_materials_are_told(model, tmp_path, caplog):
    model.material['alphaMode'] = 'MASK'
    assert len(read_glb(model.write(tmp_path / 'a.glb'))) == 1
    assert 'transparent parts of the materials bricks are rendered opaque' in caplog.text


def test_nodes_may_mirror_and_repeat_meshes(model, tmp_path):
    model.extra['nodes'] = [
        {'mesh': 0, 'scale': [-1, 1, 1]},
        {'mesh': 0, 'translation': [0, 3, 0]},
    ]
    model.extra['scenes'] = [{'nodes': [0, 1]}]
    model.picture['texCoord'] = 1
    mesh = read_glb(model.write(tmp_path / 'a.glb'))
    assert sorted(mesh.triangles[:, 1, 0].tolist()) == [-1, 1]
    assert mesh.uv == pytest.approx(np.stack([upright(SECOND)] * 2))
